"""Tag: a label for every token of a sentence, and for the whole sentence where the data have one."""
