package prompt

// The limits of one prompt.
const (
	maxNesting  = 100       // braces within braces, and wildcards within wildcards
	maxOptions  = 100_000   // of one choice
	maxParts    = 1_000_000 // of a template with its wildcards
	maxTaken    = 100       // options that {n$$…} takes
	maxOutput   = 1 << 20   // bytes of one result
	maxSteps    = 1 << 20   // parts that one result is put together from
	maxNames    = 1000      // variables at one place, different globs of a template
	maxFindings = 100       // reported of one prompt
	maxName     = 1000      // bytes of a wildcard's or a variable's name, and of a separator
)

// method says how a choice is made.
type method uint8

const (
	inherit method = iota // as the choice around it, or as the mode
	all
	random
	cycle
)

// methods are the letters that stand for them.
var methods = map[byte]method{'!': all, '~': random, '@': cycle}

// text is a prompt, an option or a value as it was read.
type text []part

// partKind says what a part is.
type partKind uint8

const (
	literal  partKind = iota
	choice            // {…}
	wildcard          // __…__
	use               // ${v} or ${v:…}
	assign            // ${v=…} or ${v=!…}
)

// part is one piece of a text.
type part struct {
	kind       partKind
	start, end int    // bytes of the value's content
	text       string // of a literal; the name of a wildcard or variable

	method    method   // of a choice or wildcard
	min, max  int      // options taken; max is -1 for as many as there are
	bounded   bool     // {n$$…}
	separator string   // between options taken
	options   []option // of a choice
	params    []part   // of a wildcard: assignments

	value text // of an assignment; the default of a use
	now   bool // the assignment is made at once (=!)
	given bool // the use has a default
}

// option is one alternative of a choice. An empty text is one as well: {red|} is red or nothing.
type option struct {
	text   text
	weight float64
}

const defaultSeparator = ", "
