#!/usr/bin/env bash
# A real Slurm of one node on this machine's loopback, for tests: slurmctld, slurmd and munge from Debian's packages.
#
#   start_slurm.sh start DIR   configure and start it below DIR; then export SLURM_CONF=DIR/slurm.conf and put DIR/bin
#                              in front of PATH
#   start_slurm.sh stop DIR    end what `start` started, and nothing else
#
# Needs root, and the packages slurm-wlm and munge; `start` installs them with apt-get where they are missing.
# Exits with 3, and says why, where Slurm cannot be had. The node has its memory (64 GB) and its one GPU in name
# only (the GPU's file is /dev/null), so that the workflow's own requests can be tested on a small machine.
set -euo pipefail

unable() {
    echo "no Slurm here: $*" >&2
    exit 3
}

install() {
    [ "$(id -u)" = 0 ] || unable "starting it needs root"
    command -v slurmctld slurmd munged mungekey >/dev/null && return
    command -v apt-get >/dev/null || unable "slurmctld, slurmd or munged is missing, and there is no apt-get"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends slurm-wlm munge; } >"$dir/install.log" 2>&1 ||
        unable "apt-get cannot install slurm-wlm and munge: $(grep -m1 '^E:' "$dir/install.log")"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

configure() {
    local host cores
    host=$(hostname -s)
    cores=$(nproc --all)
    mkdir -p "$dir"/{bin,state,spool,log,munge}
    cat >"$dir/slurm.conf" <<EOF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=1
SchedulerType=sched/builtin
ReturnToService=2
MinJobAge=600
KillWait=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$((cores < 2 ? 2 : cores)) RealMemory=64000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
    echo "NodeName=$host Name=gpu File=/dev/null" >"$dir/gres.conf"
}

shield_srun() {
    # Snakemake's plugin takes SLURM_CONF from the srun that it calls inside a job, and nothing is written to /etc here.
    printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$dir/slurm.conf" "$(command -v srun)" >"$dir/bin/srun"
    chmod 755 "$dir/bin/srun"
}

start_munge() {
    mungekey --create --force --keyfile "$dir/munge/key"
    munged --force --socket "$dir/munge/socket" --key-file "$dir/munge/key" \
        --pid-file "$dir/munge/pid" --log-file "$dir/munge/log" --seed-file "$dir/munge/seed"
}

await() {
    for _ in $(seq 60); do
        sinfo --noheader --format %t 2>/dev/null | grep -qx idle && return
        sleep 0.5
    done
    tail -n 5 "$dir"/log/*.log >&2
    unable "the node did not become idle within 30 seconds"
}

start() {
    mkdir -p "$dir"
    install
    configure
    shield_srun
    start_munge
    slurmctld -f "$dir/slurm.conf" -c
    slurmd -f "$dir/slurm.conf"
    export SLURM_CONF="$dir/slurm.conf"
    await
}

end() {
    local process
    [ -s "$1" ] || return 0
    process=$(cat "$1")
    kill "$process" 2>/dev/null || return 0
    for _ in $(seq 40); do
        kill -0 "$process" 2>/dev/null || return 0
        sleep 0.25
    done
    kill -9 "$process" 2>/dev/null || true
}

stop() {
    local file
    [ -s "$dir/slurm.conf" ] || return 0
    export SLURM_CONF="$dir/slurm.conf"
    scancel --user root 2>/dev/null || true
    for file in slurmctld.pid slurmd.pid munge/pid; do
        end "$dir/$file"
    done
}

[ $# = 2 ] || { sed -n '4,7s/^# *//p' "$0" >&2; exit 2; }
dir=$(realpath -m "$2")
case $1 in
start) start ;;
stop) stop ;;
*) echo "$0: '$1' is neither start nor stop" >&2; exit 2 ;;
esac
