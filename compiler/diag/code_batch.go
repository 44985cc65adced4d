package diag

var batchCodes = []Explanation{}
