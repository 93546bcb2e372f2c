#!/usr/bin/env bash
# Installs, starts, upgrades, downgrades and purges the package. All of it
# happens in a throwaway copy of this machine (an overlay in memory, with
# processes and a network of its own), which is gone when the script ends.
# Needs root; installs what it needs from the distribution.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" != inside ]; then
	[ "$(id -u)" = 0 ] || { echo "test/deb.sh: needs root, to install a package in a copy of this machine" >&2; exit 1; }
	missing=()
	for pair in ip:iproute2 socat:socat systemd-sysusers:systemd systemd-analyze:systemd setpriv:util-linux gpasswd:passwd; do
		command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
	done
	if [ ${#missing[@]} -gt 0 ]; then
		echo "installing ${missing[*]}"
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
	fi
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	mkdir "$work/old" "$work/new" "$work/view"
	./packaging/deb.sh "$work/old"
	# A release from the future: another version, and state of another form.
	sed 's/^const version = .*/const version = "99.0.0"/' cmd/testudo/version.go >"$work/version.go"
	sed 's/^const stateFormat = .*/const stateFormat = 99/' cmd/testudo/state.go >"$work/state.go"
	printf '{"Replace":{"%s/cmd/testudo/version.go":"%s/version.go","%s/cmd/testudo/state.go":"%s/state.go"}}' "$PWD" "$work" "$PWD" "$work" >"$work/overlay.json"
	GOFLAGS="-overlay=$work/overlay.json" ./packaging/deb.sh "$work/new"
	cp "$0" "$work/deb.sh"
	unshare --mount --net --pid --fork --kill-child "$BASH" "$0" inside "$work"
	exit
fi

work=$2
if [ "${3:-}" != installed ]; then
	# The copy: what is written lands in memory.
	mount -t tmpfs -o size=1g testudo "$work/view"
	mkdir "$work/view/upper" "$work/view/scratch" "$work/view/root"
	mount -t overlay testudo -o "lowerdir=/,upperdir=$work/view/upper,workdir=$work/view/scratch" "$work/view/root"
	root=$work/view/root
	mount -t proc proc "$root/proc"
	mount -t tmpfs run "$root/run"
	mount -t tmpfs tmp "$root/tmp"
	mount -t sysfs -o ro sys "$root/sys"
	mount --rbind /dev "$root/dev"
	mkdir "$root/tmp/package"
	cp -r "$work/old" "$work/new" "$work/deb.sh" "$root/tmp/package"
	exec chroot "$root" /bin/bash /tmp/package/deb.sh inside /tmp/package installed
fi

export DEBIAN_FRONTEND=noninteractive LC_ALL=C
cd /tmp/package
said=/tmp/package/said
step() { printf '%s\n' "-- $*"; }
die() {
	printf 'FAIL: %s\n' "$*"
	for f in "$said" /tmp/package/*.log; do [ ! -s "$f" ] || { echo "[$f]"; tail -n 30 "$f"; }; done
	exit 1
}
says() { grep -Eq -- "$1" "$said" || die "nobody said: $1"; }
installed() { dpkg-query -W -f '${Status} ${Version}' testudo 2>/dev/null; }
# as_unit NAME: runs what a unit would, as its account and with its rights.
as_unit() {
	local unit=/usr/lib/systemd/system/$1.service caps=-all run
	run=$(sed -n 's/^ExecStart=//p' "$unit")
	grep -q '^AmbientCapabilities=CAP_NET_RAW' "$unit" && caps=-all,+net_raw
	# shellcheck disable=SC2086 # the words of ExecStart
	NOTIFY_SOCKET=/run/notify-$1 TESTUDO_DIR=/var/lib/testudo exec setpriv --reuid testudo --regid testudo --clear-groups --no-new-privs \
		--inh-caps "$caps" --ambient-caps "$caps" --bounding-set "$caps" $run
}
everything() {
	find /etc /usr /var/lib /var/log /var/spool /run -xdev \( -path /var/lib/dpkg -o -path /var/log/dpkg.log -o -path '/run/notify-*' \
		-o -path /run/systemd -o -path /etc/.pwd.lock -o -path '/etc/*-' \) -prune -o -print | sort
	sort /etc/passwd /etc/group /etc/shadow /etc/gshadow
}

dpkg --purge testudo >/dev/null 2>&1 || true
everything >before

step "install"
dpkg -i old/*.deb >$said 2>&1 || die "dpkg -i"
says 'does nothing yet, because nothing to watch is named'
says 'editor /etc/testudo/testudo.yaml'
old=$(testudo version -o json | sed 's/.*"version":"\([^"]*\).*/\1/')
[ "$(installed)" = "install ok installed $old" ] || die "installed: $(installed)"
for dir in /var/lib/testudo /var/log/testudo /run/testudo; do
	[ "$(stat -c '%U:%G %a' "$dir")" = "testudo:testudo 750" ] || die "$dir: $(stat -c '%U:%G %a' "$dir")"
done
for unit in testudo testudo-sensor; do
	[ -e "/etc/systemd/system/multi-user.target.wants/$unit.service" ] || die "$unit is not enabled"
	systemd-analyze verify "/usr/lib/systemd/system/$unit.service" >$said 2>&1 || die "systemd-analyze verify $unit"
	# 0.0 is the tightest, 10 the loosest; the threshold is in tenths.
	systemd-analyze security --offline=true --threshold=25 --no-pager "$unit.service" >$said 2>&1 || die "systemd-analyze security $unit"
	tail -n 1 $said
done
testudo check --config /etc/testudo/testudo.yaml >$said 2>&1 || die "check"
says '^ok +configuration +/etc/testudo/testudo.yaml is right'
setpriv --reuid testudo --regid testudo --clear-groups --inh-caps=-all --bounding-set=-all testudo selftest >$said 2>&1 || die "selftest as testudo"
says 'detections fired; what is innocent stayed quiet'
for page in testudo.1 testudo-check.1 testudo.yaml.5; do
	gzip -dc "/usr/share/man/man${page##*.}/$page.gz" | grep -q '^\.SH "NAME"' || die "no manual page $page"
done
bash -n /usr/share/bash-completion/completions/testudo || die "completion"

step "start"
ip link set lo up
ip link add tdo0 type veth peer name tdo1
ip link set tdo0 up
ip link set tdo1 up
ip address add 10.1.0.1/16 dev tdo1
printf 'interfaces:\n  - name: tdo0\n    ring_mb: 4\nlocal: [10.1.0.0/16]\n' >/etc/testudo/testudo.yaml
testudo check --config /etc/testudo/testudo.yaml >$said 2>&1 || die "check with an interface"
says '^ok +interface tdo0'
declare -A pids
run_service() {
	for unit in testudo-sensor testudo; do
		rm -f "/run/notify-$unit"
		socat -u "UNIX-RECV:/run/notify-$unit,mode=666" "CREATE:/tmp/package/$unit.notify" &
		until [ -S "/run/notify-$unit" ]; do sleep 0.05; done
		(as_unit $unit) >"/tmp/package/$unit.log" 2>&1 &
		pids[$unit]=$!
		for _ in $(seq 200); do
			! grep -q READY=1 "/tmp/package/$unit.notify" 2>/dev/null || continue 2
			sleep 0.05
		done
		die "$unit did not say within ten seconds that it is ready"
	done
}
stop_service() {
	for unit in testudo testudo-sensor; do
		kill -TERM "${pids[$unit]}" || die "$unit had ended by itself"
		timeout 20 tail --pid="${pids[$unit]}" -f /dev/null || die "$unit goes on 20 seconds after it was told to stop"
		wait "${pids[$unit]}" || die "$unit ended with $?"
	done
}
if testudo help | grep -q '^  serve ' && testudo help | grep -q '^  sensor '; then
	serves=yes
	run_service
	grep -q '^CapEff:[[:space:]]*0*$' "/proc/${pids[testudo]}/status" || die "the service has rights: $(grep CapEff "/proc/${pids[testudo]}/status")"
	[ "$(stat -c %U "/proc/${pids[testudo]}")" = testudo ] || die "the service runs as $(stat -c %U "/proc/${pids[testudo]}")"
	echo 'workers: lots' >>/etc/testudo/testudo.yaml
	kill -HUP "${pids[testudo]}"
	for _ in $(seq 100); do ! grep -q 'testudo.yaml:5:10: workers' testudo.log || break; sleep 0.05; done
	grep -q 'testudo.yaml:5:10: workers' testudo.log || die "a wrong configuration was not refused at SIGHUP"
	for i in 9 10 11; do (echo hello >/dev/udp/10.1.0.$i/9) 2>/dev/null || true; done # who has …? on tdo1
	sleep 1
	kill -0 "${pids[testudo]}" || die "the service ended over a wrong configuration"
	sed -i '$d' /etc/testudo/testudo.yaml
	stop_service
	grep -Eq 'stopped: [1-9][0-9]* packets' testudo.log || die "the service saw no packet of those on the wire"
	[ -s /var/lib/testudo/format ] || die "the state has no mark of its format"
else
	serves=no
	echo "SKIPPED: this build has no commands serve and sensor"
fi

step "upgrade"
echo learned >/var/lib/testudo/keepsake
dpkg -i new/*.deb >$said 2>&1 || die "dpkg -i of the newer"
! grep -q 'does nothing yet' $said || die "the upgrade took the service for unconfigured"
[ "$(installed)" = "install ok installed 99.0.0" ] || die "installed: $(installed)"
grep -q tdo0 /etc/testudo/testudo.yaml || die "the upgrade lost the configuration"
[ "$(cat /var/lib/testudo/keepsake)" = learned ] || die "the upgrade lost the state"
if [ $serves = yes ]; then
	run_service
	stop_service
	grep -q '^99 99.0.0$' /var/lib/testudo/format || die "the newer release did not mark the state: $(cat /var/lib/testudo/format)"
else
	echo '99 99.0.0' >/var/lib/testudo/format
fi

step "downgrade, refused"
! dpkg -i old/*.deb >$said 2>&1 || die "the older release was installed over the state of a newer one"
says 'refused: the state in /var/lib/testudo was written by testudo 99.0.0 \(format 99\)'
says 'mv /var/lib/testudo /var/lib/testudo.format-99'
[ "$(installed)" = "install ok installed 99.0.0" ] || die "after the refusal: $(installed)"
testudo version | grep -q 99.0.0 || die "after the refusal the program is another"
step "downgrade, as the refusal advises"
mv /var/lib/testudo /var/lib/testudo.format-99
dpkg -i old/*.deb >$said 2>&1 || die "downgrade with the state set aside"
[ "$(installed)" = "install ok installed $old" ] || die "installed: $(installed)"
[ -d /var/lib/testudo ] || die "no state folder after the downgrade"
rm -r /var/lib/testudo.format-99

step "remove"
echo learned >/var/lib/testudo/keepsake
dpkg -r testudo >$said 2>&1 || die "dpkg -r"
[ ! -e /usr/bin/testudo ] || die "the program is still there"
[ ! -e /etc/systemd/system/multi-user.target.wants/testudo.service ] || die "the service is still enabled"
[ -e /var/lib/testudo/keepsake ] || die "removing took the state"
[ -e /etc/testudo/testudo.yaml ] || die "removing took the configuration"

step "purge"
dpkg --purge testudo >$said 2>&1 || die "dpkg --purge"
everything >after
diff before after >$said || die "purging left something, or took something else"
echo "the package installs, $([ $serves = no ] || echo "starts, ")upgrades, refuses to go back, and leaves nothing"
