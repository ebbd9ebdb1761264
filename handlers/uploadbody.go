package handlers

import (
	"cmp"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"wxlogin/internal/avatar"
)

// How slowly the body of an upload may arrive: at uploadRate on average, but for the first seconds.
const (
	uploadTime  = time.Minute     // for a whole body
	uploadGrace = 5 * time.Second // before the rate counts
	uploadRate  = 32 << 10        // bytes a second
)

const (
	maxParts      = 16
	maxTokenBytes = 1 << 10
	uploadSlack   = 64 << 10 // of a body, for all that is not the picture
)

var (
	errSlowBody = errors.New("the body arrives too slowly")
	errStopping = errors.New("the server is being stopped")
)

// pacedBody reads a request's body, and gives up if it arrives too slowly or when it is interrupted.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController

	mu      sync.Mutex
	since   time.Time // when the pace began
	read    int64     // bytes since then
	allowed int64     // bytes that may still be read
	done    bool      // nothing is left to be read
	ended   error     // why nothing more is read
}

// newPacedBody returns a body of which the fields before the file may be read.
func newPacedBody(w http.ResponseWriter, body io.ReadCloser) *pacedBody {
	return &pacedBody{
		ReadCloser: body, control: http.NewResponseController(w), since: time.Now(), allowed: uploadSlack,
	}
}

// Read implements io.Reader. Its error is errSlowBody or errStopping if the body is given up, and *http.MaxBytesError if it is
// larger than allowed.
func (b *pacedBody) Read(p []byte) (int, error) {
	if err := b.extend(); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	return n, b.note(int64(n), err)
}

// extend moves the connection's deadline on to when the next byte is due.
func (b *pacedBody) extend() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended != nil {
		return b.ended
	}
	if b.allowed < 0 {
		return &http.MaxBytesError{Limit: avatar.MaxBytes}
	}
	due := uploadGrace + time.Duration(b.read)*time.Second/uploadRate
	b.setDeadline(b.since.Add(min(due, uploadTime)))
	return nil
}

func (b *pacedBody) note(n int64, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read += n
	b.allowed -= n
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.ended = cmp.Or(b.ended, errSlowBody)
		return b.ended
	case err == io.EOF:
		b.done = true
		b.setDeadline(time.Time{}) // net/http goes on reading to see whether the client leaves
	}
	return err
}

// admit allows the whole body, whose pace begins now.
func (b *pacedBody) admit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since, b.read = time.Now(), 0
	b.allowed += avatar.MaxBytes
}

// interrupt ends a Read in progress, and all later ones.
func (b *pacedBody) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = cmp.Or(b.ended, errStopping)
	if !b.done {
		b.setDeadline(time.Now())
	}
}

// setDeadline bounds reading from the connection. A connection that has no deadlines, in a test, is read to its end.
func (b *pacedBody) setDeadline(t time.Time) { _ = b.control.SetReadDeadline(t) }

// discard reads and drops what is left of the body.
func (b *pacedBody) discard() {
	b.admit()
	_, _ = io.Copy(io.Discard, b)
	b.interrupt()
}

// uploadParts reads a multipart body of at most one file.
type uploadParts struct {
	reader *multipart.Reader
	read   int             // parts so far
	file   *multipart.Part // the file, as soon as the reader has reached it
	token  string          // the field token, if it came before the file
}

// next reads fields until the file begins, or the body ends, which is io.EOF.
func (u *uploadParts) next() error {
	for ; u.read < maxParts; u.read++ {
		part, err := u.reader.NextRawPart()
		if err != nil {
			return err // io.EOF that is wrapped in another error says that the body was cut off
		}
		if len(part.Header["Content-Disposition"]) > 1 || len(part.Header["Content-Type"]) > 1 {
			return invalidRequest("A header of a part is given twice.")
		}
		if isFile(part) {
			if u.file != nil {
				return invalidField("file", "The body has more than one file.")
			}
			u.file = part
			return nil
		}
		if part.FormName() == "token" {
			if err := u.takeToken(part); err != nil {
				return err
			}
		}
	}
	return invalidRequest("The body has too many parts.")
}

// isFile reports whether a part is the picture. Some phones send it without a name of a file.
func isFile(part *multipart.Part) bool {
	mediaType := part.Header.Get("Content-Type")
	return part.FileName() != "" || part.FormName() == "file" ||
		strings.HasPrefix(mediaType, "image/") || strings.HasPrefix(mediaType, "application/octet-stream")
}

func (u *uploadParts) takeToken(part *multipart.Part) error {
	token, err := io.ReadAll(io.LimitReader(part, maxTokenBytes))
	if err != nil {
		return err
	}
	if u.token != "" {
		return invalidField("token", "A field is given twice.")
	}
	u.token = string(token)
	return nil
}

// untilFile reads the fields before the file. Without a file it reads all of the body.
func (u *uploadParts) untilFile() error {
	if u.file != nil {
		return nil
	}
	if err := u.next(); err != io.EOF {
		return err
	}
	return nil
}

// picture reads the file, and the rest of the body, which holds no other. size is how many bytes the body announced, or -1.
func (u *uploadParts) picture(size int64) ([]byte, error) {
	if err := u.untilFile(); err != nil {
		return nil, err
	}
	if u.file == nil {
		return nil, invalidField("file", "The body has no file.")
	}
	file, err := readPicture(u.file, size)
	if err != nil {
		return nil, err
	}
	if err := u.next(); err != io.EOF {
		return nil, err
	}
	if len(file) == 0 {
		return nil, invalidField("file", "The body has no file.")
	}
	return file, nil
}

// readPicture reads a file of at most avatar.MaxBytes. Its buffer grows with what has arrived, and not beyond what the body
// announced.
func readPicture(r io.Reader, size int64) ([]byte, error) {
	limit := avatar.MaxBytes + 1
	if size >= 0 {
		limit = int(min(size+1, avatar.MaxBytes+1))
	}
	buffer := make([]byte, 0, min(limit, 256<<10))
	for len(buffer) < limit {
		if len(buffer) == cap(buffer) {
			buffer = append(make([]byte, 0, min(2*cap(buffer), limit)), buffer...)
		}
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(buffer) > avatar.MaxBytes {
		return nil, &http.MaxBytesError{Limit: avatar.MaxBytes}
	}
	return buffer, nil
}
