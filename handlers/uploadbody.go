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

// How slowly the body of an upload may arrive.
const (
	maxUploadTime = time.Minute     // for a whole body
	uploadGrace   = 5 * time.Second // before minUploadRate applies
	minUploadRate = 32 << 10        // bytes per second, on average
)

const (
	maxParts      = 16
	maxTokenBytes = 1 << 10
	uploadSlack   = 64 << 10 // bytes of a body besides the file
)

var (
	errSlowBody = errors.New("the body arrives too slowly")
	errStopping = errors.New("the server is shutting down")
)

// pacedBody is a request body with a minimum rate and a maximum size. It is safe for one reader and concurrent calls of
// interrupt.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController

	mu      sync.Mutex
	start   time.Time // from which the rate is measured
	read    int64     // bytes since start
	allowed int64     // bytes that may still be read
	done    bool      // the body has been read to its end
	err     error     // what every further Read returns
}

// newPacedBody returns a body of which only uploadSlack may be read until allowFile is called.
func newPacedBody(w http.ResponseWriter, body io.ReadCloser) *pacedBody {
	return &pacedBody{
		ReadCloser: body, control: http.NewResponseController(w), start: time.Now(), allowed: uploadSlack,
	}
}

// Read implements io.Reader. The error is errSlowBody if the body is too slow, errStopping after an interrupt, and
// *http.MaxBytesError if the body is too large.
func (b *pacedBody) Read(p []byte) (int, error) {
	if err := b.extendDeadline(); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	return n, b.record(int64(n), err)
}

// extendDeadline sets the connection's deadline to when the next byte is due.
func (b *pacedBody) extendDeadline() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	if b.allowed < 0 {
		return &http.MaxBytesError{Limit: avatar.MaxBytes}
	}
	due := uploadGrace + time.Duration(b.read)*time.Second/minUploadRate
	b.setDeadline(b.start.Add(min(due, maxUploadTime)))
	return nil
}

// record counts the bytes of a Read, and returns the error that the Read returns.
func (b *pacedBody) record(n int64, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read += n
	b.allowed -= n
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.err = cmp.Or(b.err, errSlowBody)
		return b.err
	case err == io.EOF:
		b.done = true
		b.setDeadline(time.Time{}) // net/http continues to read, to notice a disconnect
	}
	return err
}

// allowFile allows the rest of the body. The rate is measured from now.
func (b *pacedBody) allowFile() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start, b.read = time.Now(), 0
	b.allowed += avatar.MaxBytes
}

// interrupt ends a Read in progress and all later ones.
func (b *pacedBody) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = cmp.Or(b.err, errStopping)
	if !b.done {
		b.setDeadline(time.Now())
	}
}

// setDeadline sets the deadline for reading. If the connection has no deadlines, as in some tests, it does nothing.
func (b *pacedBody) setDeadline(t time.Time) { _ = b.control.SetReadDeadline(t) }

// discard reads and drops the rest of the body.
func (b *pacedBody) discard() {
	b.allowFile()
	_, _ = io.Copy(io.Discard, b)
	b.interrupt()
}

// uploadParts reads a multipart body with at most one file.
type uploadParts struct {
	reader *multipart.Reader
	count  int             // parts read so far
	file   *multipart.Part // the file, once the reader has reached it
	token  string          // the field token
}

// next reads fields up to the file, or to the end of the body, which is io.EOF.
func (u *uploadParts) next() error {
	for ; u.count < maxParts; u.count++ {
		part, err := u.reader.NextRawPart()
		if err != nil {
			return err // a wrapped io.EOF means that the body was cut off
		}
		if len(part.Header["Content-Disposition"]) > 1 || len(part.Header["Content-Type"]) > 1 {
			return invalidRequest("A part has the same header twice.")
		}
		if isFile(part) {
			if u.file != nil {
				return invalidField("file", "The body has more than one file.")
			}
			u.file = part
			return nil
		}
		if part.FormName() == "token" {
			if err := u.readToken(part); err != nil {
				return err
			}
		}
	}
	return invalidRequest("The body has too many parts.")
}

// isFile reports whether a part is the picture. Some phones send it without a filename.
func isFile(part *multipart.Part) bool {
	mediaType := part.Header.Get("Content-Type")
	return part.FileName() != "" || part.FormName() == "file" ||
		strings.HasPrefix(mediaType, "image/") || strings.HasPrefix(mediaType, "application/octet-stream")
}

func (u *uploadParts) readToken(part *multipart.Part) error {
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

// readToFile reads the fields before the file. If there is no file, it reads the whole body.
func (u *uploadParts) readToFile() error {
	if u.file != nil {
		return nil
	}
	if err := u.next(); err != io.EOF {
		return err
	}
	return nil
}

// readFile reads the file and the rest of the body. size is the body's Content-Length, or -1.
func (u *uploadParts) readFile(size int64) ([]byte, error) {
	if err := u.readToFile(); err != nil {
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

// readPicture reads a file of at most avatar.MaxBytes. Its buffer grows with what has arrived, but not beyond size, if
// that is not -1.
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
