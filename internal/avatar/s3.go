package avatar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3Options say where an S3-compatible store is. PublicURL and Region may be empty.
type S3Options struct {
	Endpoint             string // http or https URL of the store
	Region               string
	Bucket               string // must be there, and readable for everybody at PublicURL
	AccessKey, SecretKey string

	// PublicURL is where clients read the bucket's objects. Default: the bucket below the endpoint.
	PublicURL string
}

// S3 keeps pictures in a bucket. It is safe for concurrent use.
type S3 struct {
	addresses
	client *minio.Client
	bucket string
}

// NewS3 makes a client. It does not connect. Its error holds no key.
func NewS3(o S3Options) (*S3, error) {
	endpoint, err := url.Parse(o.Endpoint)
	if err != nil || endpoint.Host == "" {
		return nil, errors.New("avatar: the address of the S3 store cannot be read")
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:      credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""),
		Secure:     endpoint.Scheme == "https",
		Region:     o.Region,
		MaxRetries: 2, // a request waits for it
	})
	if err != nil {
		return nil, fmt.Errorf("avatar: the S3 store: %w", err)
	}
	base := o.PublicURL
	if base == "" {
		base = strings.TrimRight(o.Endpoint, "/") + "/" + o.Bucket
	}
	return &S3{client: client, bucket: o.Bucket, addresses: newAddresses(base)}, nil
}

// Put stores a picture under a new name and returns its path, which URL makes an address.
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

// Delete deletes the picture of a path that Put returned. It is no error if there is none, or if path is something else.
func (s *S3) Delete(ctx context.Context, path string) error {
	name, ok := pathName(path)
	if !ok {
		return nil
	}
	return s.remove(ctx, name)
}

func (s *S3) remove(ctx context.Context, name string) error {
	if err := s.client.RemoveObject(ctx, s.bucket, name, minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("avatar: %w", err)
	}
	return nil
}

// Files iterates over the pictures in the bucket. Other objects do not count.
func (s *S3) Files(ctx context.Context) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // ends the listing if yield wants no more
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

// Remove deletes an object that Files has listed. It is no error if it does not exist.
func (s *S3) Remove(ctx context.Context, file File) error { return s.remove(ctx, file.Name) }
