"""`tidegate monitor`: a Faust app on the served vectors that says each window what drifts. app.py is the file to read first."""
