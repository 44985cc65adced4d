package diag

var promptCodes = []Explanation{}
