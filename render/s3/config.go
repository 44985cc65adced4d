package s3

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Config says which bucket, where, and by which names the credentials are found. It holds no secret.
type Config struct {
	// URL is s3://bucket/prefix; the prefix may be missing. "" takes BUCKET_NAME.
	URL string `json:"url,omitempty"`
	// Endpoint is the server's address, https://host[:port]; "" takes BUCKET_ENDPOINT_URL, and without that Amazon's of the region. The
	// bucket may stand in the host, as BUCKET_ENDPOINT_URL often has it.
	Endpoint string `json:"endpoint,omitempty"`
	// Region is "" for AWS_REGION, and without that for what the endpoint's name says, or us-east-1.
	Region string `json:"region,omitempty"`
	// Style is path (https://host/bucket/key), host (https://bucket.host/key), or auto (the default), which takes host for the services
	// that are known to want it.
	Style string `json:"style,omitempty"`
	// KeyEnv, SecretEnv and TokenEnv name the environment variables with the access key's id, its secret, and a session token. "" takes
	// BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY, and without those AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.
	KeyEnv    string `json:"key_env,omitempty"`
	SecretEnv string `json:"secret_env,omitempty"`
	TokenEnv  string `json:"token_env,omitempty"`
	// Originals are published too unless this is false.
	Originals *bool `json:"originals,omitempty"`
	// Read names further places, s3://bucket/prefix, from which outputs may be fetched besides URL's bucket.
	Read []string `json:"read,omitempty"`
}

// maxRead bounds the list of places to read from.
const maxRead = 32

// Parse reads output.s3, given as JSON: an object, or the URL alone.
func Parse(data []byte) (Config, error) {
	var c Config
	data = bytes.TrimSpace(data)
	// `s3: s3://bucket/prefix` for `s3: {url: s3://bucket/prefix}`.
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &c.URL); err != nil {
			return c, err
		}
		return c, c.check()
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return c, errors.New("text after the value")
	}
	return c, c.check()
}

// envName is what a variable may be called.
var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// check finds what is wrong without looking at the environment.
func (c Config) check() error {
	if c.URL != "" {
		if _, _, err := splitURL(c.URL); err != nil {
			return err
		}
	}
	if c.Style != "" && !slices.Contains([]string{"path", "host", "auto"}, c.Style) {
		return fmt.Errorf("there is no style %q, only path, host, auto", c.Style)
	}
	if c.Endpoint != "" {
		if _, err := parseEndpoint(c.Endpoint); err != nil {
			return err
		}
	}
	// One of the two from one account and the other from another would only give a signature that is refused.
	if (c.KeyEnv == "") != (c.SecretEnv == "") {
		return errors.New("key_env and secret_env go together")
	}
	for _, name := range []string{c.KeyEnv, c.SecretEnv, c.TokenEnv} {
		if name != "" && !envName.MatchString(name) {
			return fmt.Errorf("%q is no name of an environment variable", name)
		}
	}
	if len(c.Read) > maxRead {
		return fmt.Errorf("at most %d places to read from", maxRead)
	}
	for _, place := range c.Read {
		if _, _, err := splitURL(place); err != nil {
			return err
		}
	}
	return nil
}

// splitURL takes s3://bucket/prefix apart; the prefix has no slash at its ends.
func splitURL(text string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(text, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	if !ok || !bucketName.MatchString(bucket) {
		return "", "", fmt.Errorf("%q is no address of a bucket: write s3://bucket/prefix", text)
	}
	if strings.ContainsAny(prefix, "?#\\\x00") || len(prefix) > 900 {
		return "", "", fmt.Errorf("the prefix in %q has letters that are not taken, or is too long", text)
	}
	return bucket, strings.Trim(prefix, "/"), nil
}

// bucketName is what S3 takes: 3 to 63 lower-case letters, digits, dots and hyphens.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// parseEndpoint reads a server's address.
func parseEndpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the endpoint must be an http or https address without a name, a password or a query")
	}
	return u, nil
}

// Foreign tells which variables a config that is not the user's own would send to which host though their names do not say that they
// are meant for a bucket: each as VARIABLE=HOST. A secret key itself is never sent, only signatures made with it; the key's id and
// the session token are.
func (c Config) Foreign() (pairs []string) {
	host := "amazonaws.com"
	if u, err := parseEndpoint(c.Endpoint); c.Endpoint != "" && err == nil {
		host = u.Hostname()
	}
	for _, v := range []struct{ name, end string }{{c.KeyEnv, "ACCESS_KEY_ID"}, {c.TokenEnv, "SESSION_TOKEN"}} {
		if v.name != "" && !strings.HasSuffix(v.name, v.end) {
			pairs = append(pairs, v.name+"="+host)
		}
	}
	return pairs
}

// Options are what a Config needs of the outside.
type Options struct {
	// Getenv reads the environment; nil is os.Getenv.
	Getenv func(string) string
	// Transport makes the calls; nil is one that honours the environment's proxies. The service gives one that refuses private addresses.
	Transport http.RoundTripper
}

// settings is a config with everything found.
type settings struct {
	bucket, prefix     string // the prefix without slashes at its ends, "" for none
	host               string // host[:port] without the bucket
	secure             bool   // https
	region, style      string // style is path, host, auto or ""
	key, secret, token string
}

// resolve looks into the environment.
func (c Config) resolve(getenv func(string) string) (s settings, err error) {
	if getenv == nil {
		getenv = os.Getenv
	}
	if err := c.check(); err != nil {
		return s, err
	}
	if err := s.credentials(c, getenv); err != nil {
		return s, err
	}
	s.style, s.secure, s.host = c.Style, true, "s3.amazonaws.com"
	inHost := ""
	if address := first(c.Endpoint, getenv("BUCKET_ENDPOINT_URL")); address != "" {
		u, err := parseEndpoint(address)
		if err != nil {
			return s, err
		}
		s.secure, s.host = u.Scheme == "https", u.Host
		// A path is the bucket and what stands before keys.
		s.bucket, s.prefix, _ = strings.Cut(strings.Trim(u.Path, "/"), "/")
		inHost = s.takeBucket()
	}
	switch {
	case c.URL != "":
		bucket, prefix, _ := splitURL(c.URL) // check has seen it
		if s.bucket, s.prefix = bucket, prefix; inHost != "" && inHost != bucket {
			return s, fmt.Errorf("the endpoint is that of the bucket %s, the url names %s", inHost, bucket)
		}
	case getenv("BUCKET_NAME") != "":
		s.bucket = getenv("BUCKET_NAME")
	case inHost != "":
		s.bucket = inHost
	}
	if !bucketName.MatchString(s.bucket) {
		return s, errors.New("no bucket is named: write url: s3://bucket/prefix, or set BUCKET_NAME")
	}
	s.region = first(c.Region, getenv("AWS_REGION"), regionOf(s.host), "us-east-1")
	return s, nil
}

// takeBucket finds Amazon's host form, BUCKET.s3.REGION.amazonaws.com, and takes the bucket out of it.
func (s *settings) takeBucket() string {
	// pictures.s3.eu-west-1.amazonaws.com gives the bucket pictures and the host s3.eu-west-1.amazonaws.com.
	name, rest, ok := strings.Cut(s.host, ".s3")
	if !ok || !strings.HasSuffix(s.host, ".amazonaws.com") || !bucketName.MatchString(name) {
		return ""
	}
	s.host = "s3" + rest
	if s.style == "" {
		s.style = "host"
	}
	return name
}

// regionOf reads the region in Amazon's names, s3.REGION.amazonaws.com.
func regionOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	middle, ok := strings.CutPrefix(host, "s3.")
	region, end := strings.CutSuffix(middle, ".amazonaws.com")
	if ok && end && !strings.Contains(region, ".") {
		return region
	}
	return ""
}

// credentials reads the named variables.
func (s *settings) credentials(c Config, getenv func(string) string) error {
	// Key, secret, session token. The first pair of which anything is set counts; half a pair is a mistake and no
	// reason to go on.
	names := [][3]string{{"BUCKET_ACCESS_KEY_ID", "BUCKET_SECRET_ACCESS_KEY", ""}, {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}}
	if c.KeyEnv != "" {
		names = [][3]string{{c.KeyEnv, c.SecretEnv, ""}}
	}
	for _, n := range names {
		key, secret := getenv(n[0]), getenv(n[1])
		if key == "" && secret == "" {
			continue
		}
		if key == "" || secret == "" {
			return fmt.Errorf("%s and %s must both be set", n[0], n[1])
		}
		s.key, s.secret = key, secret
		if token := first(c.TokenEnv, n[2]); token != "" {
			s.token = getenv(token)
		}
		if c.TokenEnv != "" && s.token == "" {
			return fmt.Errorf("%s is not set", c.TokenEnv)
		}
		return nil
	}
	if c.KeyEnv != "" {
		return fmt.Errorf("%s and %s are not set", c.KeyEnv, c.SecretEnv)
	}
	return errors.New("no credentials for the bucket: set BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY, or name others in key_env and secret_env")
}

// first is the first text that is not empty.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
