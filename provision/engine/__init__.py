"""Plans and carries out: order, threads, one resource at a time; knows no AWS service."""
