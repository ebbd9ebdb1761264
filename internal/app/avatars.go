package app

import (
	"errors"
	"fmt"
	"strings"

	"wxlogin/handlers"
	"wxlogin/internal/avatar"
)

// avatarParts are where pictures are kept and how they are served; the zero value is without uploads.
type avatarParts struct {
	keep   handlers.Avatars
	serve  handlers.AvatarFiles // nil: somebody else's business
	folder *avatar.Folder       // to be closed
}

func openAvatars(c AvatarConfig) (p avatarParts, err error) {
	switch {
	case c.Dir != "":
		if p.folder, err = avatar.OpenFolder(c.Dir, c.PublicURL); err != nil {
			return avatarParts{}, fmt.Errorf("AVATAR_DIR: %w", err)
		}
		p.keep, p.serve = p.folder, p.folder
	case c.S3Bucket != "":
		p.keep, err = avatar.NewS3(avatar.S3Options{
			Endpoint: c.S3Endpoint, Region: c.S3Region, Bucket: c.S3Bucket,
			AccessKey: c.S3AccessKey, SecretKey: c.S3SecretKey, PublicURL: c.S3PublicURL,
		})
	}
	return p, err
}

func (p avatarParts) close() error {
	if p.folder == nil {
		return nil
	}
	return p.folder.Close()
}

func (c AvatarConfig) validate() []error {
	faults := c.s3Faults()
	if c.Dir != "" && c.PublicURL == "" {
		faults = append(faults, errors.New("PUBLIC_URL is not set, which AVATAR_DIR needs"))
	}
	for name, address := range map[string]string{
		"PUBLIC_URL": c.PublicURL, "AVATAR_S3_ENDPOINT": c.S3Endpoint, "AVATAR_S3_PUBLIC_URL": c.S3PublicURL,
	} {
		if address != "" && (!isWebAddress(address) || strings.ContainsAny(address, "?#")) {
			faults = append(faults, fmt.Errorf("%s is not an http or https URL", name))
		}
	}
	return faults
}

// s3Faults says what is missing of a bucket that is configured by half.
func (c AvatarConfig) s3Faults() []error {
	settings := [...]struct{ name, value string }{
		{"AVATAR_S3_ENDPOINT", c.S3Endpoint}, {"AVATAR_S3_BUCKET", c.S3Bucket},
		{"AVATAR_S3_ACCESS_KEY", c.S3AccessKey}, {"AVATAR_S3_SECRET_KEY", c.S3SecretKey},
	}
	var faults []error
	for _, s := range settings {
		if s.value == "" {
			faults = append(faults, fmt.Errorf("%s is not set, which the other AVATAR_S3 variables need", s.name))
		}
	}
	if len(faults) == len(settings) {
		return nil // no bucket is meant
	}
	if c.Dir != "" {
		faults = append(faults, errors.New("AVATAR_DIR and AVATAR_S3_BUCKET are both set"))
	}
	return faults
}
