"""Shows what the monitor said: in the terminal (table, history, detail) and on a page (page, plots). Reads no topic itself."""
