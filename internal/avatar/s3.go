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

// Remove deletes an object that Files has returned. It is not an error if the object does not exist.
func (s *S3) Remove(ctx context.Context, file File) error { return s.remove(ctx, file.Name) }
