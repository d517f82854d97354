# What FreeRADIUS keeps of changed passwords: a file with the NT hash for each
# user. It takes no new password of whom it is not made for: paula.
file="$LAB_DIR/changed-$2"
case "$1" in
get) [ ! -f "$file" ] || cat "$file" ;;
set) [ "$2" != paula ] && printf %s "$3" >"$file" && echo changed ;;
esac
exit 0
