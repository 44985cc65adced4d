package compiler

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// PromptExpansion is prompts.expand: a language model writes prompts from the batch's own.
type PromptExpansion struct {
	Endpoint    string        // name of an endpoint of type serverless that speaks as OpenAI's chat completions do
	Model       string        // as the endpoint calls it
	Count       int           // texts that the model writes for each prompt; 1 by default
	Instruction string        // what it is told; defaultInstruction by default
	Of          []string      // axes or addresses whose texts are expanded; nil for the positive prompt
	Keep        bool          // the prompt itself is rendered too, before its expansions
	Dynamic     bool          // braces in answers are read as those of prompts; false leaves them as they are
	Temperature *float64      // nil leaves it to the endpoint
	MaxTokens   int           // of one answer; 0 means so many as the count needs
	Timeout     time.Duration // of one call; a minute by default

	at *source.Value
}

// defaultInstruction is used where the batch has none.
const defaultInstruction = "You write prompts for a text-to-image model. Rewrite the user's prompt: keep its subject and every detail that it gives, and add composition, light, place, materials and style. " +
	"Each text stands alone, is at most 60 words long, and differs from the others."

// Bounds of prompts.expand.
const (
	maxExpandCount   = 50
	maxQuestions     = 1000        // distinct prompts of one batch
	maxQuestionText  = 32_000      // bytes of a prompt
	maxAnswerText    = 20_000      // bytes of one text of an answer
	maxAnswersFile   = 8 << 20     // bytes of the file of answers
	defaultAskLimit  = time.Minute // for one call of the endpoint
	tokensPerAnswer  = 400         // of an answer, for each text that it holds, and one more for the wrapping
	tokensPerRequest = 16_000      // at most, however many texts are asked for
)

// decodeExpansion reads prompts.expand; nil if there is none.
func decodeExpansion(v *source.Value) *PromptExpansion {
	if v == nil {
		return nil
	}
	e := &PromptExpansion{Endpoint: v.Get("endpoint").Str(), Model: v.Get("model").Str(), Instruction: v.Get("instruction").Str(), Count: 1, Timeout: defaultAskLimit, at: v}
	if n, ok := v.Get("count").Int(); ok {
		e.Count = n
	}
	if e.Instruction == "" {
		e.Instruction = defaultInstruction
	}
	for _, name := range oneOrMany(v.Get("of")) {
		e.Of = append(e.Of, name.Str())
	}
	e.Keep = v.Get("keep") != nil && v.Get("keep").Bool
	e.Dynamic = v.Get("braces").Str() == "dynamic"
	if t, ok := v.Get("temperature").Float(); ok {
		e.Temperature = &t
	}
	if e.MaxTokens, _ = v.Get("max-tokens").Int(); e.MaxTokens == 0 {
		e.MaxTokens = min(tokensPerAnswer*(e.Count+1), tokensPerRequest)
	}
	if d, ok := parseDuration(v.Get("timeout").Str()); ok {
		e.Timeout = d
	}
	return e
}

// Question is one prompt that a language model is asked to expand.
type Question struct {
	Endpoint    EndpointConfig
	Model       string
	Instruction string
	Prompt      string
	Count       int    // texts that are asked for
	Seed        uint64 // below 2^31, the same for equal questions
	Temperature *float64
	MaxTokens   int
	Timeout     time.Duration // of the call
}

// Asker asks language models for prompts, and keeps what they answer. It is how a compilation reaches a network and writes a file; the
// package scheduler/chat has one.
type Asker interface {
	// Ask puts questions, several at once if it likes, and calls answered with the texts of each as it comes, from one goroutine at a time. It
	// returns when all are answered, or ctx is done and nothing is on its way any more. An error is an *AskError where it is known what went wrong.
	Ask(ctx context.Context, questions []Question, answered func(i int, texts []string, err error))
	// Keep writes a file beside the batch: all of it, or nothing.
	Keep(name string, data []byte) error
}

// AskError says why a language model gave no texts.
type AskError struct {
	Code    string // of a finding: expansion_refused, expansion_answer or expansion_failed
	Message string
	Hint    string
}

// Error gives the message.
func (e *AskError) Error() string { return e.Message }

// ExpansionReport says what becomes of the prompts that a language model expands.
type ExpansionReport struct {
	Endpoint, Model string
	Count           int    // texts for each prompt
	File            string // where answers are stored
	Prompts         []ExpandedPrompt
	Missing         int // prompts that have not been asked
}

// ExpandedPrompt is one prompt and its texts; there are none before it was asked.
type ExpandedPrompt struct {
	Prompt string
	Texts  []string
}

// key names a question by everything that its answer depends on: 32 hex digits. An edited instruction or
// another seed asks anew.
func (e *PromptExpansion) key(prompt string, seed uint64) string {
	text := []byte("comfyc question 1")
	for _, s := range []string{e.Endpoint, e.Model, e.Instruction, prompt} {
		text = appendText(text, s)
	}
	text = appendValue(text, source.NewInt(int64(e.Count)))
	text = binary.AppendUvarint(text, seed)
	if e.Temperature != nil {
		text = appendValue(text, source.NewFloat(*e.Temperature))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// place is where a key of prompts.expand stands, else the whole.
func (e *PromptExpansion) place(key string) diag.Place {
	if v := e.at.Get(key); v != nil {
		return diag.Of(v)
	}
	return diag.Of(e.at)
}
