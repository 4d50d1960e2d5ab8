"""What the functions of the language do at run time; `b` is the Budget of the evaluation."""
