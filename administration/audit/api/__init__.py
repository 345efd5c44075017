"""
The auditor's API, /api/v1/: reads, and pulls. Nothing else can be done here.

`access` says who asks, `problems` how every error is answered, `cursors` how pages follow one another, `shapes` what
things look like, `views` what can be asked.
"""
