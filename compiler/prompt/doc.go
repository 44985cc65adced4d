// Package prompt reads dynamic prompts: texts that stand for many texts. The notation is that of the Dynamic Prompts extension.
//
//	{red|green|}            one of the options; an option may be empty, and may hold anything that a prompt may hold
//	{0.5::red|3::green}     weights, 1 where none is given; they count in random draws only
//	{2$$a|b|c}              two different options joined by ", ": a, b · a, c · b, a · …
//	{2$$ and $$a|b|c}       joined by " and "
//	{1-2$$a|b} {-2$$…} {2-$$…}   one or two; at least one if no lower bound is given, at most all if no upper one is
//	{!a|b} {~a|b} {@a|b}    read as in mode all, random or cycle, whatever the mode is
//	__colors__              one line of colors.txt, or one item of the list colors in a .yaml or .json file
//	__a/warm*__ __a/**__    one line of all files that fit: * stands for any letters but a slash, ** for any folders
//	__~colors__             with a mode of its own
//	__outfit(color=red)__   with variables for the texts in the file
//	${c=!{red|blue}}        a variable, chosen once, here; ${c} is the same everywhere
//	${c={red|blue}}         a variable that is chosen anew wherever ${c} stands
//	${c:red}                red if there is no variable c
//	\{ \} \| \$ \# \_ \/ \: the character itself; every other backslash stays, so that \( reaches the worker. $${c} is the text ${c}
//	# …  // …  /* … */      comments
//
// A # begins a comment at the start of a line, or in a line with blanks on both sides; // begins one, but not after a colon (https://x). A
// line that holds nothing but a comment goes altogether. Blanks are kept as written, but not where an option, a value or
// the whole begins or ends with a line break: that is layout. An assignment leaves nothing, and takes the blanks behind it with it. It holds
// up to the end of the option, value or text in which it stands, and in the wildcards used there.
//
// For example, "a {red|green} {fox|owl}" has four results in mode all: a red fox, a red owl, a green fox, a
// green owl. In mode cycle it has two different ones, a red fox and a green owl, and in mode random each
// result is one of the four.
//
// # Order
//
// In mode all, [Template.All] gives the product with the first choice slowest and the last fastest, as nested loops would. The options of a choice
// come in the order in which they are written, the variants of an option together; the values of a glob by file name. {1-2$$…} gives the
// smaller numbers first, then permutations in the order of the options: a, b · a, c · b, a · b, c · c, a · c, b. Any place of the product
// is found from its number alone, and nothing is enumerated. Equal texts may come up twice where options are equal.
//
// In mode cycle, every choice walks through its options in step: {A|B|C} {X|Y} gives A X, B Y, C X, A Y. A choice within an option steps when that
// option has its turn. In mode random, the n-th draw depends on the seed, n, and where in the prompt a choice stands; the draws of a
// choice stay the same when another one is edited. A choice with ! is walked through in the other modes, one with ~ or @ does not multiply
// mode all; ! within ~ or @ is ignored.
//
// # Limits
//
// Braces nest 100 deep, wildcards too; a choice has at most 100,000 options, a template 1,000,000 parts, a result 1 MiB; {n$$…} takes at most
// 100. A library has at most 10,000 files in 32 levels of folders, 64 MiB in all. What is beyond is a finding, so that [Template.All],
// [Template.Random] and [Template.Cycle] never fail.
//
// A Template and a Library may be used from many goroutines.
package prompt
