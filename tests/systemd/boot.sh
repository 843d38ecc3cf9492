#!/bin/bash
# Boots the machine's own systemd as PID 1 of new namespaces, over an overlay of the machine's own root: nothing
# persists. Needs root, unshare and the hybrid cgroup tree; ends non-zero at once where these are missing.
# usage: boot.sh NAME "SOURCE:TARGET[:ro] ..." ; NAME names its cgroups, each SOURCE is bind-mounted at TARGET. What is not the
# machine's own is mounted read-only: what removes files in there must never reach it.
set -euo pipefail
name=$1 binds=$2 groups=/sys/fs/cgroup
[ "$(id -u)" = 0 ] && [ -d $groups/unified ] && [ -d $groups/systemd ] || { echo "no root or no hybrid cgroups" >&2; exit 1; }
controllers=()
for group in unified systemd pids memory cpu cpuacct devices; do [ -d $groups/$group ] && controllers+=("$group"); done

leave() {
  for group in "${controllers[@]}"; do
    find "$groups/$group/$name" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
  rmdir "/run/$name" 2>/dev/null || true
}
trap leave EXIT

(
  for group in "${controllers[@]}"; do
    mkdir -p "$groups/$group/$name"
    echo $BASHPID > "$groups/$group/$name/cgroup.procs"
  done
  exec unshare --mount --pid --fork --cgroup --ipc --uts --net --kill-child --propagation private \
    bash -euc '
      name=$1 binds=$2; shift 2
      ip link set lo up
      mkdir "/run/$name"; mount -t tmpfs tmpfs "/run/$name"; cd "/run/$name"; mkdir up work root; root=$PWD/root
      mount -t overlay overlay -o lowerdir=/,upperdir=$PWD/up,workdir=$PWD/work "$root"
      mount -t proc proc "$root/proc"; mount -t sysfs -o ro sysfs "$root/sys"
      mount -t tmpfs -o mode=755 tmpfs "$root/run"; mount -t tmpfs tmpfs "$root/tmp"; mount -t tmpfs -o mode=755 tmpfs "$root/dev"
      mkdir "$root"/dev/{pts,shm}; mount -t tmpfs tmpfs "$root/dev/shm"; mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
      for device in null zero full random urandom tty; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
      ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"
      mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
      for group in "$@"; do
        mkdir "$root/sys/fs/cgroup/$group"
        case $group in
          unified) mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified";;
          systemd) mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd";;
          *) mount -t cgroup -o "$group" cgroup "$root/sys/fs/cgroup/$group";;
        esac
      done
      for bind in $binds; do
        IFS=: read -r source target mode <<< "$bind"
        mkdir -p "$root$target"; mount --bind "$source" "$root$target"
        [ -z "$mode" ] || mount -o "remount,bind,$mode" "$root$target"
      done
      # As systemd itself does outside a container: credentials are mounted in a child namespace and must reach ours.
      mount --make-rshared "$root"; hostname "$name"; cd "$root"
      exec env -i container=voxd NOTIFY_SOCKET=/run/manager/notify PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /lib/systemd/systemd --log-target=journal systemd.unit=basic.target
    ' _ "$name" "$binds" "${controllers[@]}"
) &
wait $!
