package source

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// There are two readers of JSON. The one in this file only knows right from wrong and takes each byte about once: workflows have megabytes.
// The one in json_strict.go knows what to say, and is asked only about texts that this one refused. Tests hold the two to the same answers.

// maxNumberLength is the length in bytes up to which a number's text is read; Python stops at 4,300 digits.
const maxNumberLength = 4300

// ParseJSON reads one JSON value and nothing after it. Like Python's reader it takes NaN, Infinity and -Infinity, a byte order
// mark and lone surrogates (as U+FFFD). A duplicate key is an *Error with both places.
//
// The text is read in one pass over its bytes into values that lie beside each other; strings without escapes share one copy of the text, so a
// Value that is kept keeps the whole text. A text that this pass refuses is read again by strictJSON, which says what is wrong with it.
func ParseJSON(f *File, limits Limits) (*Value, error) {
	// Both readers get the same bounds, so a text within them for one is within them for the other.
	limits = limits.withDefaults()
	r := newReader(f, limits)
	if v := r.root(); v != nil {
		return v, nil
	}
	if _, err := strictJSON(f, limits, true); err != nil {
		return nil, err
	}
	return strictJSON(f, limits, false) // a text that only the slow reader takes; none is known
}

// jsonReader is the state of one pass. Its methods leave at behind what they have read; nil or false means that the text is refused.
type jsonReader struct {
	file   *File
	data   []byte // the whole file
	text   string // the same, for strings to share
	at     int
	limits Limits
	values int // read so far
	// The three stacks below are shared by all nesting levels: a level remembers how high its stack was when it began, works above that, and
	// cuts the stack back at its end. So reading allocates for what is kept, not for each level.
	pool
	members []Member // of the objects that are open, the innermost last
	items   []*Value // of the arrays that are open
	table   []int32  // for keys of large objects
}

func newReader(f *File, limits Limits) *jsonReader {
	return &jsonReader{file: f, data: f.Data, text: string(f.Data), limits: limits}
}

// root reads the only value of the text.
func (r *jsonReader) root() *Value {
	if bytes.HasPrefix(r.data, []byte(bom)) {
		r.at = len(bom)
	}
	r.space()
	v := r.value(0, r.limits.Leave)
	if r.space(); r.at < len(r.data) {
		return nil
	}
	return v
}

// left stands for values that are checked but not kept. It is known by its address alone and never written, so all readers of the process
// share it.
var left Value

// peek gives the next byte, 0 at the end. A zero byte within the text looks the same; as no token begins with one, both are refused.
func (r *jsonReader) peek() byte {
	if r.at < len(r.data) {
		return r.data[r.at]
	}
	return 0
}

// space passes JSON's four blanks. Others, such as a no-break space, are left to be refused by what comes next.
func (r *jsonReader) space() {
	for r.at < len(r.data) {
		switch r.data[r.at] {
		case ' ', '\n', '\t', '\r':
			r.at++
		default:
			return
		}
	}
}

// value reads the value that begins at the next byte. The root has depth 0. Each level of nesting is a call of this method, so limits.Depth
// bounds the stack as well. leave says which parts need not be made; a value that is not made is still counted and checked in full.
func (r *jsonReader) value(depth int, leave *Leave) *Value {
	if r.values++; r.values > r.limits.Values || depth > r.limits.Depth {
		return nil
	}
	v := &left
	if leave != leaveAll {
		// File and Start are known now, End only when the value has been read.
		v = r.newValue(len(r.data) - r.at)
		v.File, v.Start = r.file, r.at
	}
	ok := false
	switch c := r.peek(); c {
	case '"':
		ok = r.str(v)
	case '{':
		ok = r.object(v, depth, leave)
	case '[':
		ok = r.array(v, depth, leave)
	case 'n':
		ok = r.word("null", v, Null, false)
	case 't':
		ok = r.word("true", v, Bool, true)
	case 'f':
		ok = r.word("false", v, Bool, false)
	default:
		ok = r.number(v, c)
	}
	if !ok {
		return nil
	}
	if v != &left {
		v.End = r.at
	}
	return v
}

// word passes one of the words of JSON or of Python. What follows it is not looked at: "nullx" is refused where a comma or the end is expected.
func (r *jsonReader) word(word string, v *Value, kind Kind, truth bool) bool {
	end := r.at + len(word)
	if end > len(r.text) || r.text[r.at:end] != word {
		return false
	}
	r.at = end
	if v != &left {
		v.Kind, v.Bool = kind, truth
	}
	return true
}

// str reads a string into v; of one that is left out no text is made.
func (r *jsonReader) str(v *Value) bool {
	text, ok := r.quoted(v != &left)
	if ok && v != &left {
		v.Kind, v.Text = String, text
	}
	return ok
}

// Bytes eight at a time: ones and highs are 0x01 and 0x80 in each.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks, by their highest bits, the first byte of a word that ends the plain part of a string: a quote, a backslash, a control
// character, or the beginning of a character beyond ASCII. Bits behind the first one mean nothing.
//
// In each term a byte that is zero, or for the third one below 0x20, borrows and so gets its highest bit; the &^ removes bytes that had that
// bit before. A borrow runs on into higher bytes only, which lie behind in the text: words are read with the first byte lowest.
func special(w uint64) uint64 {
	quote, slash := w^(ones*'"'), w^(ones*'\\')
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w | w) & highs
}

// quoted reads a string. Its content is made only if it is wanted.
// The text shares the file's bytes, unless it has escapes or is not UTF-8; with wanted false it may be anything.
func (r *jsonReader) quoted(wanted bool) (text string, ok bool) {
	// plain turns false at the first escape, ascii at the first byte beyond ASCII. With both true the content is a piece of the file's text and
	// costs no memory.
	start := r.at + 1
	i, plain, ascii := start, true, true
	for {
		for i+8 <= len(r.data) {
			if s := special(binary.LittleEndian.Uint64(r.data[i:])); s != 0 {
				// The lowest bit that is set is bit 7 of the first special byte, so its number divided by 8 is that byte's place in the word.
				i += bits.TrailingZeros64(s) >> 3
				break
			}
			i += 8
		}
		// Reached also by a backslash as the last byte, which steps over the end.
		if i >= len(r.data) {
			return "", false
		}
		switch c := r.data[i]; {
		case c == '"':
			r.at = i + 1
			text = r.text[start:i]
			// i stands on the closing quote: one behind a backslash has been passed together with it.
			if wanted && (!plain || !ascii && !utf8.ValidString(text)) {
				return unescape(text)
			}
			// A wrong escape is an error also in a string that nobody reads. Bytes that are not UTF-8 are none: they would become U+FFFD.
			if !plain && !wanted {
				ok = escapesAreRight(text)
				return "", ok
			}
			return text, true
		case c == '\\':
			// The byte behind a backslash is passed unseen, so that an escaped quote ends nothing. Which escape it is, unescape checks.
			plain = false
			i += 2
		case c < ' ':
			return "", false
		case c >= utf8.RuneSelf:
			// Characters beyond ASCII come in runs, and each would stop the search by words at once: they are passed one by one.
			ascii = false
			for i++; i < len(r.data) && r.data[i] >= utf8.RuneSelf; i++ {
			}
		default:
			i++
		}
	}
}

// number reads a number in JSON's form, or one of Python's words for numbers that are not finite.
func (r *jsonReader) number(v *Value, c byte) bool {
	start := r.at
	// "-I" can only become -Infinity; every other minus begins a number.
	if c == 'N' || c == 'I' || c == '-' && r.at+1 < len(r.data) && r.data[r.at+1] == 'I' {
		if !r.word("NaN", v, Number, false) && !r.word("Infinity", v, Number, false) && !r.word("-Infinity", v, Number, false) {
			return false
		}
	} else if !r.digits() {
		return false
	}
	if v != &left {
		v.Kind, v.Text = Number, r.text[start:r.at]
	}
	// The length is checked last: the words are short, and digits() has made nothing of the number yet.
	return r.at-start <= maxNumberLength
}

// digits passes -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?, the grammar of RFC 8259: no plus in front, no leading zero, a digit on both
// sides of the point. r.at stays where it was if the text is something else.
func (r *jsonReader) digits() bool {
	d, i := r.data, r.at
	if i < len(d) && d[i] == '-' {
		i++
	}
	first := i
	// Leading zeros are refused, since readers differ on them: some take 010 for eight.
	i = run(d, i)
	if i == first || d[first] == '0' && i > first+1 {
		return false
	}
	if i < len(d) && d[i] == '.' {
		first = i + 1
		if i = run(d, first); i == first {
			return false
		}
	}
	// 0x20 is the bit by which small letters differ from capitals.
	if i < len(d) && d[i]|0x20 == 'e' {
		i++
		if i < len(d) && (d[i] == '+' || d[i] == '-') {
			i++
		}
		first = i
		if i = run(d, first); i == first {
			return false
		}
	}
	r.at = i
	return true
}

// run gives the end of the decimal digits that begin at i. A byte below '0' wraps around to a large one, so one comparison is enough.
func run(d []byte, i int) int {
	for i < len(d) && d[i]-'0' <= 9 {
		i++
	}
	return i
}

// array reads the items of an array that begins at the next byte. They gather on the stack r.items above base, below which lie those of the
// arrays around it, and are copied out when their number is known.
func (r *jsonReader) array(v *Value, depth int, leave *Leave) bool {
	// base is where this array's items begin.
	base := len(r.items)
	inner := leave.ofItems()
	r.at++
	if r.space(); r.peek() == ']' {
		r.at++
		if v != &left {
			v.Kind = Array
		}
		return true
	}
	for {
		item := r.value(depth+1, inner)
		if item == nil {
			return false
		}
		if item != &left {
			r.items = append(r.items, item)
		}
		r.space()
		c := r.peek()
		r.at++
		if c == ']' {
			break
		}
		if c != ',' {
			return false
		}
		r.space()
	}
	if v != &left {
		v.Kind, v.Items = Array, r.keepItems(r.items[base:], len(r.data)-r.at)
	}
	r.items = r.items[:base]
	return true
}

// object reads the members of an object that begins at the next byte. Keys are always read in full, and members whose values are left out stay
// on the stack until the end, so that a key which stands twice is found wherever it is.
func (r *jsonReader) object(v *Value, depth int, leave *Leave) bool {
	// Members gather in the same way as an array's items.
	base := len(r.members)
	r.at++
	if r.space(); r.peek() == '}' {
		r.at++
		if v != &left {
			v.Kind = Object
		}
		return true
	}
	var seen uint64 // a bit for each key, by its length and two letters
	kept := 0
	for {
		if r.peek() != '"' {
			return false
		}
		m := Member{KeyStart: r.at}
		var ok bool
		if m.Key, ok = r.quoted(true); !ok {
			return false
		}
		m.KeyEnd = r.at
		bit := keyBit(m.Key)
		// Up to fewKeys keys are compared here, and only if their bits meet; larger objects are checked once, at their end, by distinct. So an
		// object of n keys costs O(n), and never the square of what an attacker sends.
		if seen&bit != 0 && len(r.members)-base < fewKeys && has(r.members[base:], m.Key) {
			return false
		}
		seen |= bit
		if r.space(); r.peek() != ':' {
			return false
		}
		r.at++
		r.space()
		if m.Value = r.value(depth+1, leave.of(m.Key)); m.Value == nil {
			return false
		}
		if m.Value != &left {
			kept++
		}
		r.members = append(r.members, m)
		r.space()
		c := r.peek()
		r.at++
		if c == '}' {
			break
		}
		if c != ',' {
			return false
		}
		r.space()
	}
	all := r.members[base:]
	// Exactly those objects that the check above has not covered to their last key.
	if len(all) > fewKeys && !r.distinct(all) {
		return false
	}
	if v != &left {
		v.Kind, v.Members = Object, r.keepMembers(all, kept, len(r.data)-r.at)
	}
	r.members = r.members[:base]
	return true
}
