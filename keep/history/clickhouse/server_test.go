package clickhouse

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// startServers starts n servers that know each other as the cluster "testudo"
// and returns their addresses. They end with the test.
func startServers(t *testing.T, n int) (hosts []string) {
	t.Helper()
	if os.Getenv("TESTUDO_PROVE") != "yes" {
		t.Skip("SKIPPED: TESTUDO_PROVE is not set: no database server was started")
	}
	program, err := exec.LookPath("clickhouse-server")
	if err != nil {
		t.Skip("SKIPPED: no clickhouse-server: the store on ClickHouse was not tried")
	}
	var ports []int
	for range n {
		ports = append(ports, freePort(t))
		hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", ports[len(ports)-1]))
	}
	for _, port := range ports {
		start(t, program, port, ports)
	}
	for _, h := range hosts {
		awaitServer(t, h)
	}
	return hosts
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func start(t *testing.T, program string, port int, all []int) {
	dir := t.TempDir()
	shards := ""
	for _, p := range all {
		shards += fmt.Sprintf("<shard><replica><host>127.0.0.1</host><port>%d</port></replica></shard>", p)
	}
	config := fmt.Sprintf(`<yandex><logger><level>warning</level><log>%[1]s/log</log><errorlog>%[1]s/err</errorlog></logger>
<tcp_port>%[2]d</tcp_port><listen_host>127.0.0.1</listen_host><path>%[1]s/data/</path><tmp_path>%[1]s/tmp/</tmp_path>
<users_config>users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database>
<mark_cache_size>67108864</mark_cache_size><remote_servers><testudo>%[3]s</testudo></remote_servers></yandex>`, dir, port, shards)
	users := `<yandex><profiles><default><max_memory_usage>1000000000</max_memory_usage></default></profiles>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
<quotas><default></default></quotas></yandex>`
	for name, text := range map[string]string{"config.xml": config, "users.xml": users} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "--config-file="+filepath.Join(dir, "config.xml"))
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text, err := os.ReadFile(filepath.Join(dir, "err")); err == nil && t.Failed() {
			t.Logf("server on port %d: %.3000s", port, text)
		}
	})
}

func awaitServer(t *testing.T, host string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		c, err := dial(host, "default", "", "default")
		if err == nil {
			err = c.Ping(ctx)
			_ = c.Close()
		}
		if err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the server on %s did not start", host)
}
