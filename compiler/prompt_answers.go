package compiler

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// answers are what language models wrote for a batch: the file NAME.prompts.json beside NAME.yaml. It is the user's to read, keep under version
// control and edit: a text that is changed there is what is rendered. Answers to questions that the batch does not ask any more stay.
type answers struct {
	name   string // of the file, as the batch would name it
	stored map[string]answer
}

// answer is one entry of the file. All but Texts is there for people: what the entry's key was made of.
type answer struct {
	Endpoint string   `json:"endpoint"`
	Model    string   `json:"model"`
	Prompt   string   `json:"prompt"`
	Texts    []string `json:"texts"`

	values []*source.Value // the texts with their places in the file
}

// answersName is the name of a batch's file of answers.
func answersName(batch string) string {
	base := filepath.Base(batch)
	return strings.TrimSuffix(base, filepath.Ext(base)) + ".prompts.json"
}

// readAnswers reads the file of answers, if there is one. It is nil after a finding.
func (c *compilation) readAnswers() *answers {
	a := &answers{name: answersName(c.batch.File.Name), stored: map[string]answer{}}
	f, err := c.files.read(a.name)
	if errors.Is(err, fs.ErrNotExist) {
		return a
	}
	if err != nil {
		c.list.Add(diag.Errorf("expansion_file", diag.InFile(source.NewFile(a.name, nil)), "answers: %s", trouble(err)))
		return nil
	}
	if len(f.Data) > maxAnswersFile {
		c.list.Add(diag.Errorf("expansion_file", diag.InFile(source.NewFile(f.Name, nil)), "the file of answers has more than %d bytes", maxAnswersFile))
		return nil
	}
	if !c.parseAnswers(a, f) {
		return nil
	}
	return a
}

// parseAnswers reads the file's content.
func (c *compilation) parseAnswers(a *answers, f *source.File) bool {
	root, err := source.ParseJSON(f, source.Limits{})
	if err != nil {
		c.list.Add(diag.FromError(err, f.Name))
		return false
	}
	if findings := schemaFindings("prompts", root); len(findings) > 0 {
		c.list.Add(findings...)
		return false
	}
	entries := root.Get("answers")
	for i := range entries.Members {
		m := &entries.Members[i]
		e := answer{Endpoint: m.Value.Get("endpoint").Str(), Model: m.Value.Get("model").Str(), Prompt: m.Value.Get("prompt").Str()}
		for _, v := range m.Value.Get("texts").Items {
			if len(v.Text) > maxAnswerText {
				c.list.Add(diag.Errorf("expansion_file", diag.Of(v), "a text of %d bytes; at most %d are read", len(v.Text), maxAnswerText))
				return false
			}
			e.Texts, e.values = append(e.Texts, v.Text), append(e.values, v)
		}
		a.stored[m.Key] = e
	}
	return true
}

// encode writes the file: the same answers, the same bytes, as encoding/json sorts the keys. Angle
// brackets stay readable.
func (a *answers) encode() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	file := struct {
		Version int               `json:"version"`
		Answers map[string]answer `json:"answers"`
	}{1, a.stored}
	if err := enc.Encode(file); err != nil {
		panic("answers are texts: " + err.Error())
	}
	return b.Bytes()
}
