package strongswan

// swanctlNames gives the rule for each setting below connections.NAME, by its
// path without the numbers behind local, remote, cert and cacert. child stands
// for children.NAME.
var swanctlNames = map[string]string{
	"version": "keyexchange", "local_addrs": "left", "remote_addrs": "right", "local_port": "leftikeport", "remote_port": "rightikeport",
	"proposals": "ike", "vips": "vips", "aggressive": "aggressive", "pull": "modeconfig", "dscp": "ikedscp", "encap": "forceencaps",
	"mobike": "mobike", "dpd_delay": "dpddelay", "dpd_timeout": "dpdtimeout", "fragmentation": "fragmentation", "childless": "childless",
	"send_certreq": "send_certreq", "send_cert": "leftsendcert", "ppk_id": "ppk", "ppk_required": "ppk", "keyingtries": "keyingtries",
	"unique": "unique", "reauth_time": "reauth_time", "rekey_time": "rekey_time", "over_time": "expiry", "rand_time": "rekeyfuzz",
	"pools": "pools", "if_id_in": "if_id", "if_id_out": "if_id", "mediation": "mediation", "mediated_by": "mediated_by", "mediation_peer": "me_peerid",

	"local.round": "round", "local.certs": "leftcert", "local.pubkeys": "pubkeys", "local.auth": "leftauth", "local.id": "leftid",
	"local.eap_id": "eap_local", "local.aaa_id": "aaa_identity", "local.xauth_id": "xauth_identity",
	"local.cert.file": "leftcert", "local.cert.handle": "smartcard", "local.cert.slot": "smartcard", "local.cert.module": "smartcard",

	"remote.round": "round", "remote.id": "rightid", "remote.eap_id": "eap_identity", "remote.groups": "rightgroups",
	"remote.cert_policy": "rightcertpolicy", "remote.certs": "rightcert", "remote.cacerts": "rightca", "remote.ca_id": "rightca",
	"remote.pubkeys": "rightsigkey", "remote.revocation": "revocation", "remote.auth": "rightauth",
	"remote.cert.file": "rightcert", "remote.cert.handle": "rightcert", "remote.cert.slot": "rightcert", "remote.cert.module": "rightcert",
	"remote.cacert.file": "rightca", "remote.cacert.handle": "rightca", "remote.cacert.slot": "rightca", "remote.cacert.module": "rightca",

	"child.ah_proposals": "ah", "child.esp_proposals": "esp", "child.sha256_96": "sha256_96", "child.local_ts": "leftsubnet",
	"child.remote_ts": "rightsubnet", "child.rekey_time": "child_rekey_time", "child.life_time": "life_time", "child.rand_time": "rekeyfuzz",
	"child.rekey_bytes": "lifebytes", "child.life_bytes": "expiry", "child.rand_bytes": "rekeyfuzz",
	"child.rekey_packets": "lifepackets", "child.life_packets": "expiry", "child.rand_packets": "rekeyfuzz",
	"child.updown": "leftupdown", "child.hostaccess": "lefthostaccess", "child.mode": "type", "child.policies": "installpolicy",
	"child.policies_fwd_out": "inside", "child.dpd_action": "dpdaction", "child.ipcomp": "compress", "child.inactivity": "inactivity",
	"child.reqid": "reqid", "child.priority": "inside", "child.interface": "inside",
	"child.mark_in": "mark", "child.mark_in_sa": "mark", "child.mark_out": "mark", "child.set_mark_in": "set_mark_in", "child.set_mark_out": "set_mark_out",
	"child.if_id_in": "if_id", "child.if_id_out": "if_id", "child.label": "label", "child.label_mode": "label", "child.tfc_padding": "tfc",
	"child.replay_window": "replay_window", "child.hw_offload": "hw_offload", "child.copy_df": "copy", "child.copy_ecn": "copy", "child.copy_dscp": "copy",
	"child.start_action": "auto", "child.close_action": "closeaction",
}
