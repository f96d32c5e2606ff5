# The connection breaks while the server copies; it tells the end over the next one.
. "$CLIENT/connection.sh"
cd "$MOUNT"
sent() { awk -v op="$1:" '$1 == op { sum += $2 } END { print sum + 0 }' /proc/self/mountstats; }
before=$(sent COPY)
cp big reconnected &
copy=$!
until [ "$(sent COPY)" -gt "$before" ]; do
    kill -0 $copy
    sleep 0.005
done
break_connection
wait $copy
