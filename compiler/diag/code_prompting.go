package diag

// promptingCodes are findings about dynamic prompts and their wildcards.
var promptingCodes = []Explanation{
	{Code: "prompt_unclosed", Title: "a part of a dynamic prompt is not closed",
		Text: "{ is closed by }, ${ by }, __ by __ and /* by */. A backslash takes the meaning from such a character. Braces are read only where the batch has `prompts:`.",
		Bad:  "a {red|blue fox", Good: "a {red|blue} fox"},
	{Code: "prompt_count", Title: "a choice takes more options than it can",
		Text: "{3$$a|b} takes three options, each at most once. Where there are fewer, all of them are taken. At most 100 are taken at once.",
		Bad:  "{3$$oil|ink}", Good: "{2$$oil|ink}"},
	{Code: "prompt_weight", Title: "a weight is wrong",
		Text: "A weight stands before an option or a value of a wildcard, with two colons: a number from 0 on. The weights of a choice must not all be 0.",
		Bad:  "{-1::red|2::blue}", Good: "{1::red|2::blue}"},
	{Code: "prompt_variable", Title: "a variable of a dynamic prompt is wrong",
		Text: "${name=!{a|b}} chooses once, ${name={a|b}} anew at each use, ${name} uses it, ${name:text} has a default. A variable is there from its assignment to the end of the option or text around it. It must not be named as an axis: ${axis} is the axis's value.",
		Bad:  "${colour} fox", Good: "${colour=!{red|blue}} ${colour} fox"},
	{Code: "prompt_too_large", Title: "a dynamic prompt is too large",
		Text: "Braces and wildcards nest 100 deep, a choice has at most 100,000 options, a prompt with its wildcards 1,000,000 parts, and a result 1 MiB."},
	{Code: "unknown_wildcard", Title: "a wildcard is not there",
		Text: "__name__ stands for a line of name.txt in the folder that `prompts: {wildcards: …}` names, or for an item of the list `name` in a .yaml or .json file there. Folders and keys are joined with slashes: __animals/cats__. * fits any letters, ** any folders.",
		Bad:  "a __colour__ fox   # the file is colors.txt", Good: "a __colors__ fox"},
	{Code: "wildcard_cycle", Title: "a wildcard leads back to itself",
		Text: "A value of the wildcard uses the wildcard again, perhaps by way of others, so that there would be no end."},
	{Code: "wildcard_empty", Title: "a wildcard has no values", Text: "The file has no lines but comments and empty ones, or the list no items."},
	{Code: "wildcard_file", Title: "a wildcard file cannot be read",
		Text: "Text files have a value a line; .yaml and .json files hold lists of texts, at any depth of keys. A folder of wildcards has at most 10,000 files and 64 MiB."},
}
