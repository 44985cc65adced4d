package render

import (
	"bytes"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// A worker's file name and media type are what a stranger says. The extension a file gets here comes from
// its content, and content that a browser could run when it is opened from disk (HTML, SVG, XML) ends in
// .txt, so that the run directory is safe to click around in.

// FileType is what a file is by its content.
type FileType struct {
	MIME string
	Ext  string // with its dot; for what could run script in a browser it ends in .txt
	Kind Kind
}

// sniffBytes is how much of a file's beginning tells its type.
const sniffBytes = 4096

// signature is a type that is told by bytes at fixed places.
type signature struct {
	offset int
	magic  string // what stands there, byte for byte
	FileType
	also string // further bytes that must stand within the first 64, if any
}

// signatures are tried in order: a general one such as "ftyp", the box that all files of the MP4 family
// begin with at byte 4, stands behind the brands that mean something else.
var signatures = []signature{
	{0, "\x89PNG\r\n\x1a\n", FileType{"image/png", ".png", KindImage}, ""},
	{0, "\xff\xd8\xff", FileType{"image/jpeg", ".jpg", KindImage}, ""},
	{0, "GIF87a", FileType{"image/gif", ".gif", KindImage}, ""},
	{0, "GIF89a", FileType{"image/gif", ".gif", KindImage}, ""},
	{8, "WEBP", FileType{"image/webp", ".webp", KindImage}, "RIFF"},
	{8, "WAVE", FileType{"audio/wav", ".wav", KindAudio}, "RIFF"},
	// Pictures in boxes: the brand says how they are packed, still or as a sequence. mif1 and msf1 say only that
	// they are pictures; the list of compatible brands behind them tells the rest. Browsers show AVIF alone.
	{4, "ftypavif", FileType{"image/avif", ".avif", KindImage}, ""},
	{4, "ftypavis", FileType{"image/avif", ".avif", KindImage}, ""},
	{4, "ftypmif1", FileType{"image/avif", ".avif", KindImage}, "avif"},
	{4, "ftypmsf1", FileType{"image/avif", ".avif", KindImage}, "avis"},
	{4, "ftypmif1", FileType{"image/heic", ".heic", KindOther}, "heic"},
	{4, "ftypmif1", FileType{"image/heif", ".heif", KindOther}, ""},
	{4, "ftypmsf1", FileType{"image/heif", ".heif", KindOther}, ""},
	{4, "ftyphei", FileType{"image/heic", ".heic", KindOther}, ""}, // heic, heix, heim, heis
	{4, "ftyphev", FileType{"image/heic", ".heic", KindOther}, ""}, // sequences: hevc, hevx, hevm, hevs
	{4, "ftypqt  ", FileType{"video/quicktime", ".mov", KindVideo}, ""},
	{4, "ftypM4A ", FileType{"audio/mp4", ".m4a", KindAudio}, ""},
	{4, "ftyp", FileType{"video/mp4", ".mp4", KindVideo}, ""},
	{0, "\x1a\x45\xdf\xa3", FileType{"video/webm", ".webm", KindVideo}, "webm"},
	{0, "\x1a\x45\xdf\xa3", FileType{"video/x-matroska", ".mkv", KindVideo}, ""},
	{0, "fLaC", FileType{"audio/flac", ".flac", KindAudio}, ""},
	{0, "OggS", FileType{"audio/ogg", ".ogg", KindAudio}, ""},
	{0, "ID3", FileType{"audio/mpeg", ".mp3", KindAudio}, ""},
	{0, "\xff\xfb", FileType{"audio/mpeg", ".mp3", KindAudio}, ""},
	{0, "\xff\xf3", FileType{"audio/mpeg", ".mp3", KindAudio}, ""},
	{0, "\xff\xf2", FileType{"audio/mpeg", ".mp3", KindAudio}, ""},
	{0, "glTF", FileType{"model/gltf-binary", ".glb", KindOther}, ""},
	{0, "%PDF-", FileType{"application/pdf", ".pdf", KindOther}, ""},
	{0, "PK\x03\x04", FileType{"application/zip", ".zip", KindOther}, ""},
	{0, "\x76\x2f\x31\x01", FileType{"image/x-exr", ".exr", KindOther}, ""},
	{0, "II*\x00", FileType{"image/tiff", ".tiff", KindOther}, ""},
	{0, "MM\x00*", FileType{"image/tiff", ".tiff", KindOther}, ""},
}

// keptExts are extensions of a worker's file name that stay on content of no known type.
var keptExts = []string{".latent", ".safetensors", ".ply", ".obj", ".stl", ".fbx", ".splat", ".ksplat", ".spz", ".npz", ".npy", ".usdz"}

// DetectType tells a file's type by its first bytes, 4096 or the whole file if it is
// shorter. filename is the worker's name for it; only the extension of data that
// nothing else tells about is taken from it.
func DetectType(head []byte, filename string) FileType {
	for _, s := range signatures {
		if len(head) >= s.offset+len(s.magic) && string(head[s.offset:s.offset+len(s.magic)]) == s.magic &&
			bytes.Contains(head[:min(64, len(head))], []byte(s.also)) {
			return s.FileType
		}
	}
	ext := strings.ToLower(path.Ext(filename))
	if t, ok := detectText(head); ok {
		if t.Kind == KindText && slices.Contains(keptExts, ext) {
			return FileType{"application/octet-stream", ext, KindOther}
		}
		return t
	}
	if !slices.Contains(keptExts, ext) {
		ext = ".bin"
	}
	return FileType{"application/octet-stream", ext, KindOther}
}

// markup begins or betrays text that a browser would run.
var markup = []struct {
	text string
	FileType
}{
	{"<svg", FileType{"image/svg+xml", ".svg.txt", KindOther}},
	{"<!doctype html", FileType{"text/html", ".html.txt", KindOther}},
	{"<html", FileType{"text/html", ".html.txt", KindOther}},
	{"<script", FileType{"text/html", ".html.txt", KindOther}},
	{"<?xml", FileType{"text/xml", ".xml.txt", KindOther}},
}

// detectText tells apart the kinds of text; ok is false for anything else.
func detectText(head []byte) (t FileType, ok bool) {
	if !isText(head) {
		return t, false
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\ufeff")))
	lower := bytes.ToLower(text)
	for _, m := range markup {
		if bytes.Contains(lower, []byte(m.text)) && lower[0] == '<' {
			return m.FileType, true
		}
	}
	if len(text) > 0 && (text[0] == '{' || text[0] == '[') && (json.Valid(text) || len(head) >= sniffBytes) {
		return FileType{"application/json", ".json", KindText}, true
	}
	return FileType{"text/plain", ".txt", KindText}, true
}

// isText reports whether head is UTF-8 without control characters; its last character
// may be cut.
func isText(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && n == 1 {
			return len(head) < utf8.UTFMax && !utf8.FullRune(head)
		}
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f {
			return false
		}
		head = head[n:]
	}
	return true
}
