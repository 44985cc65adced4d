package worker

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// File names are ComfyUI's: PREFIX_00001_.png in the folder that stands before
// the prefix's last slash. Clients match names to nodes by them, so the
// counter, the underscores and the refusals are the same.

// place is where a node saves: the prefix split into folder and name.
type place struct {
	kind, folder, name string // kind is "output" or "temp"
	number             int    // of the next file, from 1
}

// placeFor resolves a file name prefix for pictures of w × h pixels.
func (e *env) placeFor(kind, prefix string, w, h int) (*place, error) {
	if strings.Contains(prefix, "%") {
		prefix = fillTokens(prefix, w, h, time.Now())
	}
	if strings.ContainsRune(prefix, 0) || len(prefix) > 1000 {
		return nil, errors.New("the filename_prefix is not usable")
	}
	clean := path.Clean(prefix)
	if path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") || strings.Contains(clean, `..\`) {
		return nil, errors.New("saving outside the output folder is not allowed: " + prefix)
	}
	folder, name := path.Split(clean)
	p := &place{kind: kind, folder: strings.TrimSuffix(folder, "/"), name: name, number: 1}
	// Two nodes with one prefix share a counter within a run, as they do by
	// looking into one folder in ComfyUI.
	key := kind + "/" + clean
	if e.opt.Counter != nil {
		p.number = max(e.opt.Counter(clean), 1)
	}
	p.number = max(p.number, e.next[key])
	return p, nil
}

// fillTokens puts in the size and the time.
func fillTokens(prefix string, w, h int, now time.Time) string {
	return strings.NewReplacer(
		"%width%", strconv.Itoa(w), "%height%", strconv.Itoa(h),
		"%year%", strconv.Itoa(now.Year()), "%month%", now.Format("01"), "%day%", now.Format("02"),
		"%hour%", now.Format("15"), "%minute%", now.Format("04"), "%second%", now.Format("05"),
	).Replace(prefix)
}

// add saves one file of a node. The ending is put after the number.
func (e *env) add(p *place, node string, picture int, ending string, data []byte) {
	name := strings.ReplaceAll(p.name, "%batch_num%", strconv.Itoa(picture))
	e.result.Files = append(e.result.Files, File{
		Node: node, Filename: fmt.Sprintf("%s_%05d%s", name, p.number, ending),
		Subfolder: p.folder, Type: p.kind, Data: data,
	})
	p.number++
	e.next[p.kind+"/"+path.Join(p.folder, p.name)] = p.number
}

// tempPrefix names a preview node's files. ComfyUI draws five letters when the
// node is made; here they follow from the node's id.
func tempPrefix(id string) string {
	// ComfyUI's own string, with p twice and w missing.
	const letters = "abcdefghijklmnopqrstupvxyz"
	sum := sha256.Sum256([]byte("preview " + id))
	out := make([]byte, 5)
	for i := range out {
		out[i] = letters[int(sum[i])%len(letters)]
	}
	return "ComfyUI_temp_" + string(out)
}
