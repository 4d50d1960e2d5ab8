"""tusk-runtime: a declaration in one `.tsk` file becomes a running event-sourced service."""
