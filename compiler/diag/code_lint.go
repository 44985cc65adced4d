package diag

var lintCodes = []Explanation{}
