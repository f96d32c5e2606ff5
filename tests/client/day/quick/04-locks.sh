# Two processes on one mount.
python3 "$CLIENT/contend.py" locked locked
