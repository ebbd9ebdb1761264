package avatar

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Folder stores pictures as files. It is safe for concurrent use, even by several processes.
type Folder struct {
	addresses
	root *os.Root
}

// OpenFolder opens a folder, which it creates if necessary. publicURL is the URL at which clients reach this server.
func OpenFolder(dir, publicURL string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("avatar: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("avatar: %w", err)
	}
	return &Folder{root: root, addresses: newAddresses(strings.TrimRight(publicURL, "/") + Path)}, nil
}

// Close closes the folder.
func (f *Folder) Close() error { return f.root.Close() }

// URL returns the address of a value of users.avatar_url. If an earlier version stored an address under another public
// URL, and the folder has its picture, URL returns the current address.
func (f *Folder) URL(stored string) string {
	if m := pictureURL.FindStringSubmatch(stored); m != nil && !f.Issued(stored) {
		if _, err := f.root.Stat(m[1]); err == nil {
			return f.base + m[1]
		}
	}
	return f.addresses.URL(stored)
}

// Put stores a picture under a new name and returns its path; URL returns the address. The write is atomic and durable:
// the file appears under its name only after it is complete and on disk.
func (f *Folder) Put(ctx context.Context, p Picture) (path string, err error) {
	name := newName(p.Extension)
	temporary := "." + name + "." + rand.Text()
	err = f.write(temporary, p.Data)
	if err == nil {
		err = f.root.Rename(temporary, name)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("avatar: %w", err), f.Remove(ctx, File{Name: temporary}))
	}
	return Path + name, nil
}

// write creates a file and syncs it to disk.
func (f *Folder) write(name string, data []byte) error {
	file, err := f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}

// Delete deletes the picture of a path that Put returned. It is not an error if the picture does not exist, or if path
// is not a picture's path.
func (f *Folder) Delete(ctx context.Context, path string) error { return deletePath(ctx, f, path) }

// Remove deletes a file that Files has returned. It is not an error if the file does not exist.
func (f *Folder) Remove(_ context.Context, file File) error {
	if err := f.root.Remove(file.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("avatar: %w", err)
	}
	return nil
}

// Open opens a picture for serving. It returns fs.ErrNotExist if there is no picture with this name.
func (f *Folder) Open(name string) (file *os.File, contentType string, err error) {
	if !pictureName.MatchString(name) {
		return nil, "", fs.ErrNotExist
	}
	file, err = f.root.Open(name)
	return file, contentTypeOf(name), err
}

// Files iterates over the pictures, and over temporary files that interrupted calls of Put have left. It skips other
// files.
func (f *Folder) Files(ctx context.Context) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		dir, err := f.root.Open(".")
		if err != nil {
			yield(File{}, fmt.Errorf("avatar: %w", err))
			return
		}
		defer dir.Close()
		for ctx.Err() == nil {
			entries, err := dir.ReadDir(1000)
			for _, entry := range entries {
				if file, ok := describeEntry(entry); ok && !yield(file, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(File{}, fmt.Errorf("avatar: %w", err))
				return
			}
		}
		yield(File{}, ctx.Err())
	}
}

// describeEntry describes an entry of the folder. It reports false if the entry is not one of Folder's files, or has
// just been deleted.
func describeEntry(entry fs.DirEntry) (File, bool) {
	name := entry.Name()
	if !entry.Type().IsRegular() || !pictureName.MatchString(name) && !temporaryName.MatchString(name) {
		return File{}, false
	}
	info, err := entry.Info()
	if err != nil {
		return File{}, false
	}
	return File{Name: name, Size: info.Size(), ModTime: info.ModTime()}, true
}

// S3Options configures an S3-compatible store. PublicURL and Region are optional.
type S3Options struct {
	Endpoint             string // http or https URL of the store
	Region               string
	Bucket               string // must exist, and be publicly readable at PublicURL
	AccessKey, SecretKey string

	// PublicURL is the URL at which clients read the bucket's objects. Default: the bucket's path at the endpoint.
	PublicURL string
}

// S3 stores pictures in a bucket. It is safe for concurrent use.
type S3 struct {
	addresses
	client *minio.Client
	bucket string
}

// NewS3 returns a client. It does not connect. Its error never contains a key.
func NewS3(o S3Options) (*S3, error) {
	endpoint, err := url.Parse(o.Endpoint)
	if err != nil || endpoint.Host == "" {
		return nil, errors.New("avatar: invalid endpoint of the S3 store")
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:      credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""),
		Secure:     endpoint.Scheme == "https",
		Region:     o.Region,
		MaxRetries: 2, // few, because an upload waits for them
	})
	if err != nil {
		return nil, fmt.Errorf("avatar: S3 store: %w", err)
	}
	base := o.PublicURL
	if base == "" {
		base = strings.TrimRight(o.Endpoint, "/") + "/" + o.Bucket
	}
	return &S3{client: client, bucket: o.Bucket, addresses: newAddresses(base)}, nil
}

// Put stores a picture under a new name and returns its path; URL returns the address.
func (s *S3) Put(ctx context.Context, p Picture) (path string, err error) {
	name := newName(p.Extension)
	_, err = s.client.PutObject(ctx, s.bucket, name, bytes.NewReader(p.Data), int64(len(p.Data)), minio.PutObjectOptions{
		ContentType:  contentTypeOf(name),
		CacheControl: CacheControl,
	})
	if err != nil {
		return "", fmt.Errorf("avatar: %w", err)
	}
	return Path + name, nil
}

// Delete deletes the picture of a path that Put returned. It is not an error if the picture does not exist, or if path
// is not a picture's path.
func (s *S3) Delete(ctx context.Context, path string) error { return deletePath(ctx, s, path) }

// Remove deletes an object that Files has returned. It is not an error if the object does not exist.
func (s *S3) Remove(ctx context.Context, file File) error {
	if err := s.client.RemoveObject(ctx, s.bucket, file.Name, minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("avatar: %w", err)
	}
	return nil
}

// Files iterates over the pictures in the bucket. It skips other objects.
func (s *S3) Files(ctx context.Context) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // ends the listing if yield returns false
		for object := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{}) {
			if object.Err != nil {
				yield(File{}, fmt.Errorf("avatar: %w", object.Err))
				return
			}
			if !pictureName.MatchString(object.Key) {
				continue
			}
			if !yield(File{Name: object.Key, Size: object.Size, ModTime: object.LastModified}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(File{}, err)
		}
	}
}
