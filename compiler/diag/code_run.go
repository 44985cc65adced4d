package diag

var runCodes = []Explanation{}
