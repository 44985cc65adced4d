// Reading what a model wrote. Models do not keep to a form, but a wrong text would be rendered and paid for: so what is read generously is the
// wrapping, and what is not clearly a list of texts is refused. For example, for two texts
//
//	{"prompts": ["a", "b"]}   ["a", "b"]   [{"prompt": "a"}, {"prompt": "b"}]   1. a⏎2. b   <think>…</think> before any of them
//
// all give "a" and "b". More texts than were asked for are cut; fewer are an error.

package chat

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/comfyc/comfyc/compiler"
)

// completion is what of an answer is read. Content is a text, a list of parts (as some servers give it), or null.
type completion struct {
	Choices []struct {
		FinishReason string `json:"finish_reason"`
		Message      struct {
			Content json.RawMessage `json:"content"`
			Refusal string          `json:"refusal"`
		} `json:"message"`
	} `json:"choices"`
	Error json.RawMessage `json:"error"` // some gateways send an error with status 200
}

// maxText bounds one text in bytes.
const maxText = 20_000

// read takes the texts out of an answer: count of them, or an error that says what came instead.
func read(data []byte, count int) ([]string, error) {
	var c completion
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, junk("the answer is not a chat completion: %v", err)
	}
	if len(c.Choices) == 0 {
		if len(c.Error) > 0 && string(c.Error) != "null" {
			return nil, &compiler.AskError{Code: "expansion_failed", Message: "the endpoint answered with an error: " + excerpt(string(c.Error))}
		}
		return nil, junk("the answer holds no choices")
	}
	choice := &c.Choices[0]
	text := contentOf(choice.Message.Content)
	switch {
	case choice.Message.Refusal != "":
		return nil, &compiler.AskError{Code: "expansion_refused", Message: "the model refused: " + excerpt(choice.Message.Refusal)}
	case choice.FinishReason == "content_filter":
		return nil, &compiler.AskError{Code: "expansion_refused", Message: "a content filter of the endpoint cut the answer off"}
	// Before the text is looked at: a list that was cut off may still read as a shorter list.
	case choice.FinishReason == "length":
		e := junk("the answer was cut off at its longest")
		e.Hint = "raise max-tokens, or ask for fewer texts"
		return nil, e
	case strings.TrimSpace(text) == "":
		return nil, junk("the answer is empty")
	}
	return texts(text, count)
}

// contentOf gives a message's text.
func contentOf(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var parts []struct {
		Text string `json:"text"`
	}
	_ = json.Unmarshal(raw, &parts) // anything else is no text
	// [{"type": "text", "text": "…"}, …]; parts of other types have no text.
	for _, p := range parts {
		text += p.Text
	}
	return text
}

// What a model puts around its answer: its thoughts, and a fence.
var (
	thinking = regexp.MustCompile(`(?i)<think(ing)?>`)
	thought  = regexp.MustCompile(`(?is)^.*</think(ing)?>`)
	fence    = regexp.MustCompile("(?s)^\\s*```[a-zA-Z]*\\s*\n(.*?)\n?\\s*```\\s*$")
)

// texts reads the texts of a message.
func texts(content string, count int) ([]string, error) {
	// All before the last end is thoughts: the templates of some models write the opening tag themselves, so that it is not in the answer, and
	// thoughts often hold drafts that look like an answer.
	content = strings.TrimSpace(thought.ReplaceAllString(content, ""))
	if thinking.MatchString(content) {
		return nil, junk("the model's thoughts have no end: %s", excerpt(content))
	}
	if m := fence.FindStringSubmatch(content); m != nil {
		content = strings.TrimSpace(m[1])
	}
	if content == "" {
		return nil, junk("the answer is nothing but thoughts")
	}
	out, isJSON := listed(content)
	if !isJSON {
		out = lines(content, count)
	}
	switch {
	case len(out) == 0 && apology.MatchString(content):
		return nil, &compiler.AskError{Code: "expansion_refused", Message: "the model refused: " + excerpt(content)}
	case len(out) == 0:
		return nil, junk("no prompts are in the answer: %s", excerpt(content))
	case len(out) < count:
		return nil, junk("%d texts are in the answer, %d were asked for: %s", len(out), count, excerpt(content))
	}
	out = out[:count]
	for i, text := range out {
		if out[i] = strings.TrimSpace(text); out[i] == "" {
			return nil, junk("a text in the answer is empty: %s", excerpt(content))
		}
		if len(text) > maxText || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return nil, junk("a text in the answer is longer than %d bytes, or no text: %s", maxText, excerpt(text))
		}
	}
	return out, nil
}

// listed reads JSON: an object with one list of texts, a list, or a list of objects with one text each.
func listed(content string) (out []string, isJSON bool) {
	var v any
	if json.Unmarshal([]byte(content), &v) != nil {
		return nil, false
	}
	if o, ok := v.(map[string]any); ok {
		v = only(o)
	}
	list, _ := v.([]any)
	for _, item := range list {
		if o, ok := item.(map[string]any); ok {
			item = only(o)
		}
		text, ok := item.(string)
		if !ok {
			return nil, true
		}
		out = append(out, text)
	}
	return out, true
}

// only gives the value under "prompts", or the only value that an object has.
func only(o map[string]any) any {
	if v, ok := o["prompts"]; ok {
		return v
	}
	if len(o) == 1 {
		for _, v := range o {
			return v
		}
	}
	return nil
}

// bullet is what stands before the texts of a list in prose.
var bullet = regexp.MustCompile(`^(\d{1,3}[.):]|[-*•])\s+`)

// lines reads a list in prose: a text a line, each behind a number or a bullet. A single text needs none, if it is one line.
func lines(content string, count int) (out []string) {
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if m := bullet.FindString(line); m != "" {
			out = append(out, strings.Trim(strings.TrimPrefix(line, m), `"*`))
		}
	}
	// One bare line for one text; an opening brace is JSON that broke off.
	if len(out) < count && count == 1 && !strings.Contains(content, "\n") && !apology.MatchString(content) && !strings.ContainsAny(content[:1], "{[") {
		return []string{strings.Trim(content, `"`)}
	}
	return out
}

// apology is how models begin that refuse in prose.
var apology = regexp.MustCompile(`(?i)^(i'?m sorry|i am sorry|sorry|i can'?t|i cannot|i'm unable|i am unable|as an ai|unfortunately)`)

// junk is an answer that holds no prompts.
func junk(format string, args ...any) *compiler.AskError {
	return &compiler.AskError{Code: "expansion_answer", Message: fmt.Sprintf(format, args...)}
}

// excerpt prints the beginning of what came, on one line.
func excerpt(text string) string {
	letters := []rune(strings.Join(strings.Fields(text), " "))
	if len(letters) > 100 {
		return fmt.Sprintf("%q…", string(letters[:100]))
	}
	return fmt.Sprintf("%q", string(letters))
}
