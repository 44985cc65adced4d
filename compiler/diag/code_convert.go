package diag

var convertCodes = []Explanation{}
