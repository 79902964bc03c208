"""A real Kerberos realm of a test's own: MIT's KDC with its database in a folder, on a free port of loopback.

    with Kdc(tmp_path / "kdc") as kdc:
        kdc.keytab("alice")                     # makes the principal alice@HEARTH.TEST, and returns its keytab
        subprocess.run(..., env={**os.environ, **kdc.environment("alice")})   # who acts as alice
        HdfsCluster(tmp_path / "hdfs", **kdc.hdfs())                          # an HDFS that wants to know who is asking

Names of servers are those that clients use: HTTP/localhost for http://localhost.
"""

import os
import subprocess
from pathlib import Path

from harness import free_port, until

REALM = "HEARTH.TEST"
SBIN = "/usr/sbin"


class Kdc:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.conf = self.write_conf("krb5.conf", self.port)
        (self.folder / "kdc.conf").write_text(
            f"[kdcdefaults]\n kdc_listen = 127.0.0.1:{self.port}\n kdc_tcp_listen = 127.0.0.1:{self.port}\n"
            f"[realms]\n {REALM} = {{\n  database_name = {self.folder}/principal\n  key_stash_file = {self.folder}/stash\n"
            f"  acl_file = {self.folder}/acl\n }}\n[logging]\n kdc = FILE:{self.folder}/kdc.log\n")
        self.variables = {**os.environ, "KRB5_CONFIG": str(self.conf), "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf")}
        self.run(f"{SBIN}/kdb5_util", "create", "-s", "-r", REALM, "-P", "of a test")
        self.process = subprocess.Popen([f"{SBIN}/krb5kdc", "-n"], env=self.variables, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log = self.folder / "kdc.log"
        until(lambda: log.exists() and "commencing operation" in log.read_text(), 30, "the KDC")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.kill()
        self.process.wait()

    def run(self, *command):
        subprocess.run(list(map(str, command)), env=self.variables, check=True, capture_output=True)

    def write_conf(self, name, port):
        """A krb5.conf whose KDC listens on that port. Only TCP, because a free port of TCP is not one of UDP."""
        path = self.folder / name
        path.write_text(
            f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n"
            " dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n"
            f"[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n[domain_realm]\n localhost = {REALM}\n")
        return path

    def keytab(self, principal):
        path = self.folder / f"{principal.replace('/', '-')}.keytab"
        if not path.exists():
            self.run(f"{SBIN}/kadmin.local", "-q", f"addprinc -randkey {principal}")
            self.run(f"{SBIN}/kadmin.local", "-q", f"ktadd -norandkey -k {path} {principal}")
        return path

    def environment(self, principal=None, conf=None):
        """Of a program that gets tickets with that principal's keytab; without one it has no credentials."""
        name = principal.replace("/", "-") if principal else "nobody"
        return {"KRB5_CONFIG": str(conf or self.conf), "KRB5CCNAME": f"FILE:{self.folder}/{name}.tickets",
                "KRB5_CLIENT_KTNAME": str(self.keytab(principal) if principal else self.folder / "none")}

    def hdfs(self):
        """What makes an HdfsCluster a secure one. Its superuser is hdfs/localhost."""
        daemon, web = f"hdfs/localhost@{REALM}", f"HTTP/localhost@{REALM}"
        daemon_keytab, web_keytab = self.keytab("hdfs/localhost"), self.keytab("HTTP/localhost")
        return {
            "jvm": [f"-Djava.security.krb5.conf={self.conf}"],
            "settings": {
                "hadoop.security.authentication": "kerberos",
                "hadoop.http.authentication.type": "kerberos",
                "hadoop.http.authentication.kerberos.principal": web,
                "hadoop.http.authentication.kerberos.keytab": web_keytab,
                "dfs.namenode.kerberos.principal": daemon,
                "dfs.namenode.keytab.file": daemon_keytab,
                "dfs.namenode.kerberos.internal.spnego.principal": web,
                "dfs.datanode.kerberos.principal": daemon,
                "dfs.datanode.keytab.file": daemon_keytab,
                "dfs.web.authentication.kerberos.principal": web,
                "dfs.web.authentication.kerberos.keytab": web_keytab,
                "dfs.block.access.token.enable": "true",
                "dfs.data.transfer.protection": "authentication",
                "ignore.secure.ports.for.testing": "true",
            },
        }
