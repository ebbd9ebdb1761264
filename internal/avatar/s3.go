package avatar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	client *minio.Client
	bucket string
	base   string // address of the objects, with a slash at the end
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
	return &S3{client: client, bucket: o.Bucket, base: strings.TrimRight(base, "/") + "/"}, nil
}

// Put keeps a picture and returns its address.
func (s *S3) Put(ctx context.Context, p Picture) (address string, err error) {
	name := newName(p)
	_, err = s.client.PutObject(ctx, s.bucket, name, bytes.NewReader(p.Data), int64(len(p.Data)), minio.PutObjectOptions{
		ContentType:  contentTypes[p.Extension],
		CacheControl: CacheControl,
	})
	if err != nil {
		return "", fmt.Errorf("avatar: %w", err)
	}
	return s.base + name, nil
}

// Issued tells whether an address is of the form that Put gives. The store is not asked.
func (s *S3) Issued(address string) bool {
	name, ok := strings.CutPrefix(address, s.base)
	return ok && validName.MatchString(name)
}
