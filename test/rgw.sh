#!/bin/bash
# A real S3 server for the tests: one Ceph node with a RADOS Gateway, on 127.0.0.1, data in memory, no systemd.
#
#   test/rgw.sh start FOLDER   starts it (2 s) and prints the settings that the tests read, as `export NAME=value`
#   test/rgw.sh stop FOLDER    ends it and removes the folder
#
# Needs root and: apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd
# RGW_PORT and MON_PORT choose other ports (7480, 6789).
set -euo pipefail

command=${1:?usage: test/rgw.sh start|stop FOLDER}
mkdir -p "${2:?usage: test/rgw.sh start|stop FOLDER}"
folder=$(cd "$2" && pwd)
port=${RGW_PORT:-7480}
conf=$folder/ceph.conf

running() { # NAME: true if the daemon of that name which we started is still there
  [ -s "$folder/$1.pid" ] && grep -qaF "$conf" "/proc/$(cat "$folder/$1.pid" 2>/dev/null)/cmdline" 2>/dev/null
}

stop() {
  local name pid
  for name in client.rgw osd.0 mon.a; do
    running "$name" || continue
    pid=$(cat "$folder/$name.pid")
    kill "$pid"
    for _ in $(seq 50); do running "$name" || break; sleep 0.1; done
    if running "$name"; then kill -9 "$pid"; fi
  done
  rm -rf "$folder"
}

write_conf() {
  cat > "$conf" <<CONF
[global]
fsid = $1
mon_host = [v1:127.0.0.1:${MON_PORT:-6789}]
public_addr = 127.0.0.1
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
ms_bind_msgr2 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = false
keyring = $folder/keyring
run_dir = $folder
pid_file = $folder/\$name.pid
admin_socket = $folder/\$name.asok
log_file = $folder/\$name.log
crash_dir = $folder
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
paxos_propose_interval = 0.05
[mon]
mon_data = $folder/mon
mon_cluster_log_file = $folder/cluster.log
[osd]
osd_data = $folder/osd
osd_objectstore = memstore
memstore_device_bytes = 6G
osd_max_object_name_len = 2048
[client]
rgw_data = $folder/rgw
rgw_frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = testkey-1=$(head -c 32 /dev/urandom | base64)
rgw_gc_obj_min_wait = 2
rgw_gc_processor_period = 4
rgw_gc_processor_max_time = 4
CONF
# paxos_propose_interval: else the start takes 16 s. tcp_nodelay: else each GET waits 45 ms for a delayed ACK. rgw_gc_*: else
# deleted objects stay for two hours and fill the memory.
}

start() {
  local fsid
  fsid=$(cat /proc/sys/kernel/random/uuid)
  mkdir -p "$folder"/{mon,osd,rgw}
  write_conf "$fsid"
  touch "$folder/keyring"
  cd /
  monmaptool --create --clobber --fsid "$fsid" --addv a "[v1:127.0.0.1:${MON_PORT:-6789}]" "$folder/monmap"
  ceph-mon -c "$conf" -i a --mkfs --monmap "$folder/monmap"
  ceph-mon -c "$conf" -i a
  ceph -c "$conf" --connect-timeout 20 osd new "$fsid"
  ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$fsid"
  for _ in $(seq 10); do # it ends with "wrong fsid" when it is ahead of its first map: once in six starts
    running osd.0 || ceph-osd -c "$conf" -i 0 || { sleep 0.3; continue; }
    break
  done
  running osd.0
  radosgw -c "$conf" -n client.rgw
  for _ in $(seq 150); do
    if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    running client.rgw
    sleep 0.2
  done
  user alice ALICEACCESSKEY alicesecretkey
  user bob BOBACCESSKEY bobsecretkey
}

user() { radosgw-admin -c "$conf" user create --uid="$1" --display-name="$1" --access-key="$2" --secret-key="$3"; }

case $command in
  stop) stop ;;
  start)
    start > "$folder/start.log" 2>&1 || { tail -n 20 "$folder/start.log" >&2; stop; exit 1; }
    printf 'export S3_TEST_%s\n' "ENDPOINT=http://127.0.0.1:$port" REGION=default \
      ACCESS_KEY_ID=ALICEACCESSKEY SECRET_ACCESS_KEY=alicesecretkey \
      ACCESS_KEY_ID_2=BOBACCESSKEY SECRET_ACCESS_KEY_2=bobsecretkey
    ;;
  *) echo "usage: test/rgw.sh start|stop FOLDER" >&2; exit 2 ;;
esac
