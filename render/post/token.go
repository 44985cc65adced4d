package post

import (
	"fmt"
	"strings"
)

// Texts of steps may hold tokens: "%axis.prompt%, seed %seed%" under a picture of the cell
// (a red fox, 7) is written as "a red fox, seed 7". What a token means is the caller's
// business (Picture.Lookup); here is only how they are found.

// maxText bounds a declared text, and what its tokens make of it, in bytes.
const maxText = 4096

// splitTokens cuts a text at its tokens: literals at the even places, the names of
// tokens at the odd ones. %% is a percent sign, and so is a % that no other one follows.
func splitTokens(text string) []string {
	parts := []string{""}
	for text != "" {
		before, rest, found := strings.Cut(text, "%")
		parts[len(parts)-1] += before
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "%")
		switch {
		case !closed:
			parts[len(parts)-1] += "%" + rest
			return parts
		case name == "":
			parts[len(parts)-1] += "%"
		default:
			parts = append(parts, name, "")
		}
		text = after
	}
	return parts
}

// expand puts the values of tokens into a text.
func expand(text string, lookup func(string) (string, bool)) (string, error) {
	var b strings.Builder
	for i, part := range splitTokens(text) {
		if i%2 == 1 {
			// An unknown token is an error and not an empty text: it is nearly always a
			// slip.
			name, ok := part, lookup != nil
			if ok {
				part, ok = lookup(name)
			}
			if !ok {
				return "", fmt.Errorf("there is no value for %%%s%%", name)
			}
		}
		b.WriteString(part)
	}
	out := strings.ToValidUTF8(b.String(), "")
	if len(out) > maxText {
		out = strings.ToValidUTF8(out[:maxText-len("…")], "") + "…"
	}
	return out, nil
}

// tokensOf lists the tokens of a text.
func tokensOf(text string) (names []string) {
	for i, part := range splitTokens(text) {
		if i%2 == 1 {
			names = append(names, part)
		}
	}
	return names
}
