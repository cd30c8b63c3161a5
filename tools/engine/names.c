// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Network Monitor's names of protocols and of their fields, as printouts in Microsoft's Knowledge
 * Base show them, with Wireshark's filter names. Names that Wireshark also has are found without
 * this table. If the filter name of a field differs between versions of Wireshark, the table has
 * all of them, and the engine takes the first one that exists. If a field has several labels,
 * descriptions of the field have the first one.
 */
#include "names.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct label {
	const char *label;
	const char *fields;	/* filter names, separated by spaces */
};

static const struct label frame_labels[] = {
	{ "Time of capture", "frame.time" },
	{ "Time delta from previous physical frame", "frame.time_delta" },
	{ "Total frame length", "frame.len" },
	{ "Capture frame length", "frame.cap_len" },
	{ NULL, NULL }
};

static const struct label ethernet_labels[] = {
	{ "Destination address", "eth.dst" },
	{ "Source address", "eth.src" },
	{ "Ethernet Type", "eth.type" },
	{ "Frame Length", "eth.len" },
	{ "Frame Padding", "eth.padding" },
	{ NULL, NULL }
};

static const struct label tokenring_labels[] = {
	{ "Destination address", "tr.dst" },
	{ "Source address", "tr.src" },
	{ "Routing information", "tr.rif" },
	{ NULL, NULL }
};

static const struct label fddi_labels[] = {
	{ "Destination address", "fddi.dst" },
	{ "Source address", "fddi.src" },
	{ NULL, NULL }
};

static const struct label llc_labels[] = {
	{ "Frame Category", "llc.control.ftype" },
	{ "Poll/Final", "llc.control.p llc.control.f" },
	{ "Protocol ID", "llc.pid llc.type" },
	{ NULL, NULL }
};

static const struct label arp_rarp_labels[] = {
	{ "Hardware Address Space", "arp.hw.type" },
	{ "Hardware Type", "arp.hw.type" },
	{ "Protocol Address Space", "arp.proto.type" },
	{ "Protocol Type", "arp.proto.type" },
	{ "Hardware Address Length", "arp.hw.size" },
	{ "Protocol Address Length", "arp.proto.size" },
	{ "Sender's Hardware Address", "arp.src.hw_mac" },
	{ "Sender's Protocol Address", "arp.src.proto_ipv4" },
	{ "Target's Hardware Address", "arp.dst.hw_mac" },
	{ "Target's Protocol Address", "arp.dst.proto_ipv4" },
	{ NULL, NULL }
};

static const struct label ip_labels[] = {
	{ "Type of Service", "ip.dsfield ip.tos" },
	{ "Service Type", "ip.dsfield ip.tos" },
	{ "Flags Summary", "ip.flags" },
	{ "Checksum", "ip.checksum" },
	{ NULL, NULL }
};

static const struct label icmp_labels[] = {
	{ "Packet Type", "icmp.type" },
	{ "Code", "icmp.code" },
	{ "Echo Code", "icmp.code" },
	{ "Unreachable Code", "icmp.code" },
	{ "Redirect Code", "icmp.code" },
	{ "Identifier", "icmp.ident" },
	{ "Sequence Number", "icmp.seq" },
	{ "Gateway Address", "icmp.redir_gw" },
	{ "Router IP Address", "icmp.redir_gw" },
	{ "Data", "icmp.data data.data" },
	{ NULL, NULL }
};

static const struct label igmp_labels[] = {
	{ "Group Address", "igmp.maddr" },
	{ "Maximum Response Time", "igmp.max_resp" },
	{ NULL, NULL }
};

static const struct label tcp_labels[] = {
	{ "Acknowledgement Number", "tcp.ack" },
	{ "Data Offset", "tcp.hdr_len" },
	{ "Reserved", "tcp.flags.res" },
	{ "Options", "tcp.options" },
	{ "Option Kind", "tcp.option_kind" },
	{ "Option Length", "tcp.option_len" },
	{ "Option Value", "tcp.options.mss_val" },
	{ "Data", "tcp.payload" },
	{ NULL, NULL }
};

static const struct label udp_labels[] = {
	{ "Source Port", "udp.srcport" },
	{ "Src Port", "udp.srcport" },
	{ "Destination Port", "udp.dstport" },
	{ "Dst Port", "udp.dstport" },
	{ "Total length", "udp.length" },
	{ "UDP Checksum", "udp.checksum" },
	{ "Data", "udp.payload" },
	{ NULL, NULL }
};

static const struct label dns_labels[] = {
	{ "Query Identifier", "dns.id" },
	{ "DNS Flags", "dns.flags" },
	{ "Flags", "dns.flags" },
	{ "Question Entry Count", "dns.count.queries" },
	{ "Answer Entry Count", "dns.count.answers" },
	{ "Name Server Count", "dns.count.auth_rr" },
	{ "Additional Records Count", "dns.count.add_rr" },
	{ "Question Name", "dns.qry.name" },
	{ "Question Type", "dns.qry.type" },
	{ "Question Class", "dns.qry.class" },
	{ "Resource Name", "dns.resp.name" },
	{ "Resource Type", "dns.resp.type" },
	{ "Resource Class", "dns.resp.class" },
	{ "Resource Data Length", "dns.resp.len" },
	{ "IP address", "dns.a" },
	{ "Owner primary name", "dns.cname" },
	{ "Authoritative Name Server", "dns.ns" },
	{ "Preference", "dns.mx.preference" },
	{ "Responsible Authorative Mailbox", "dns.soa.rname" },
	{ "Version number", "dns.soa.serial_number" },
	{ "Expiration Limit", "dns.soa.expire_limit" },
	{ "Response code", "dns.flags.rcode" },
	{ NULL, NULL }
};

static const struct label dhcp_labels[] = {
	{ "Op Code", "dhcp.type" },
	{ "Op Code (op)", "dhcp.type" },
	{ "Hardware Type", "dhcp.hw.type" },
	{ "Hardware Type (htype)", "dhcp.hw.type" },
	{ "Hardware Address Length", "dhcp.hw.len" },
	{ "Hardware Address Length (hlen)", "dhcp.hw.len" },
	{ "Hops", "dhcp.hops" },
	{ "Hops (hops)", "dhcp.hops" },
	{ "Transaction ID", "dhcp.id" },
	{ "Transaction ID (xid)", "dhcp.id" },
	{ "Seconds", "dhcp.secs" },
	{ "Seconds (secs)", "dhcp.secs" },
	{ "Flags", "dhcp.flags" },
	{ "Flags (flags)", "dhcp.flags" },
	{ "Client IP Address", "dhcp.ip.client" },
	{ "Client IP Address (ciaddr)", "dhcp.ip.client" },
	{ "Your IP Address", "dhcp.ip.your" },
	{ "Your IP Address (yiaddr)", "dhcp.ip.your" },
	{ "Server IP Address", "dhcp.ip.server" },
	{ "Server IP Address (siaddr)", "dhcp.ip.server" },
	{ "Relay IP Address", "dhcp.ip.relay" },
	{ "Relay IP Address (giaddr)", "dhcp.ip.relay" },
	{ "Client Ethernet Address", "dhcp.hw.mac_addr" },
	{ "Client Ethernet Address (chaddr)", "dhcp.hw.mac_addr" },
	{ "Server Host Name", "dhcp.server" },
	{ "Server Host Name (sname)", "dhcp.server" },
	{ "Boot File Name", "dhcp.file" },
	{ "Boot File Name (file)", "dhcp.file" },
	{ "Option Field", "dhcp.option.type" },
	{ "DHCP Message Type", "dhcp.option.dhcp" },
	{ "Requested Address", "dhcp.option.requested_ip_address" },
	{ "Subnet Mask", "dhcp.option.subnet_mask" },
	{ "Server Identifier", "dhcp.option.dhcp_server_id" },
	{ "Renewal Time Value (T1)", "dhcp.option.renewal_time_value" },
	{ "Rebinding Time Value (T2)", "dhcp.option.rebinding_time_value" },
	{ NULL, NULL }
};

static const struct label nbt_labels[] = {
	{ "Packet Type", "nbss.type" },
	{ "Packet Flags", "nbss.flags" },
	{ "Packet Length", "nbss.length" },
	{ "Called Name", "nbss.called_name" },
	{ "Calling Name", "nbss.calling_name" },
	{ "Error Code", "nbss.error_code" },
	{ "Transaction ID", "nbns.id" },
	{ "Flags Summary", "nbns.flags" },
	{ "Question Count", "nbns.count.queries" },
	{ "Answer Count", "nbns.count.answers" },
	{ "Name Service Count", "nbns.count.auth_rr" },
	{ "Additional Record Count", "nbns.count.add_rr" },
	{ "Name", "nbns.name" },
	{ "Type", "nbns.type" },
	{ "Class", "nbns.class" },
	{ "Question Name", "nbns.name" },
	{ "Question Type", "nbns.type" },
	{ "Question Class", "nbns.class" },
	{ "Resource Record Name", "nbns.name" },
	{ "Resource Record Type", "nbns.type" },
	{ "Resource Record Class", "nbns.class" },
	{ "Time To Live", "nbns.ttl" },
	{ "RDATA Length", "nbns.data_length" },
	{ "Resource Record Flags", "nbns.nb_flags" },
	{ "Owner IP Address", "nbns.addr" },
	{ "Datagram Packet Type", "nbdgm.type" },
	{ "Datagram Flags", "nbdgm.flags" },
	{ "Datagram ID", "nbdgm.dgram_id" },
	{ "Source IP Address", "nbdgm.src.ip" },
	{ "Source Port", "nbdgm.src.port" },
	{ "Datagram Length", "nbdgm.dgram_len" },
	{ "Packet Offset", "nbdgm.pkt_offset" },
	{ "Source Name", "nbdgm.source_name" },
	{ "Destination Name", "nbdgm.destination_name" },
	{ NULL, NULL }
};

static const struct label netbios_labels[] = {
	{ "Data 2", "netbios.data2" },
	{ "Destination Session Number", "netbios.remote_session" },
	{ "Remote Session Number", "netbios.remote_session" },
	{ "Source Session Number", "netbios.local_session" },
	{ "Local Session Number", "netbios.local_session" },
	{ "NetBIOS Name", "netbios.nb_name" },
	{ "Destination Name", "netbios.nb_name" },
	{ "Source Name", "netbios.nb_name" },
	{ "Max Data Receive Size", "netbios.max_data_recv_size" },
	{ NULL, NULL }
};

static const struct label smb_labels[] = {
	{ "Command", "smb.cmd" },
	{ "NT Status Code", "smb.nt_status" },
	{ "Status", "smb.nt_status" },
	{ "Tree ID (TID)", "smb.tid" },
	{ "Process ID (PID)", "smb.pid" },
	{ "User ID (UID)", "smb.uid" },
	{ "Multiplex ID (MID)", "smb.mid" },
	{ "Flags Summary", "smb.flags" },
	{ "flags2 Summary", "smb.flags2" },
	{ "Word count", "smb.wct" },
	{ "Byte count", "smb.bcc" },
	{ "Dialect Strings Understood", "smb.dialect.name" },
	{ "Protocol Index", "smb.dialect.index" },
	{ "Security Mode Summary", "smb.sm" },
	{ "Max Buffer Size", "smb.max_bufsize smb.max_buf" },
	{ "Max MPX requests", "smb.max_mpx_count" },
	{ "Max raw size", "smb.max_raw" },
	{ "Capabilities", "smb.server_cap" },
	{ "Account name", "smb.account" },
	{ "Domain name", "smb.primary_domain" },
	{ "Native Lanman", "smb.native_lanman" },
	{ "ASCII password length", "smb.ansi_pwlen" },
	{ "File name", "smb.file" },
	{ "Path name", "smb.path" },
	{ "File ID (FID)", "smb.fid" },
	{ "File type", "smb.file_type" },
	{ "Service type", "smb.service" },
	{ "Next offset", "smb.andxoffset" },
	{ "File size", "smb.file_size" },
	{ "Total parm bytes", "smb.tpc" },
	{ "Total data bytes", "smb.tdc" },
	{ "Parameter bytes", "smb.pc" },
	{ "Data bytes", "smb.dc" },
	{ "Setup word count", "smb.sc" },
	{ "Transact name", "smb.trans_name" },
	{ "Echo sequence", "smb.echo.seq_num" },
	{ NULL, NULL }
};

static const struct label msrpc_labels[] = {
	{ "Flags 1", "dcerpc.cn_flags dcerpc.dg_flags1" },
	{ "PFC flags", "dcerpc.cn_flags" },
	{ "Packed Data Representation", "dcerpc.drep" },
	{ "Fragment Length", "dcerpc.cn_frag_len" },
	{ "Authentication Length", "dcerpc.cn_auth_len" },
	{ "Call Identifier", "dcerpc.cn_call_id" },
	{ "Max Trans Frag Size", "dcerpc.cn_max_xmit" },
	{ "Max Recv Frag Size", "dcerpc.cn_max_recv" },
	{ "Assoc Group Identifier", "dcerpc.cn_assoc_group" },
	{ "Number of Context Elements", "dcerpc.cn_num_ctx_items" },
	{ "Presentation Context Identifier", "dcerpc.cn_ctx_id" },
	{ "Number of Transfer Syntaxs", "dcerpc.cn_num_trans_items" },
	{ "Abstract Interface UUID", "dcerpc.cn_bind_to_uuid" },
	{ "Abstract Interface Version", "dcerpc.cn_bind_if_ver" },
	{ "Transfer Interface UUID", "dcerpc.cn_bind_trans_id" },
	{ "Transfer Interface Version", "dcerpc.cn_bind_trans_ver" },
	{ "Secondary Address Length", "dcerpc.cn_sec_addr_len" },
	{ "Secondary Address", "dcerpc.cn_sec_addr" },
	{ "Number of Results", "dcerpc.cn_num_results" },
	{ "Result", "dcerpc.cn_ack_result" },
	{ "Reason", "dcerpc.cn_ack_reason" },
	{ "Allocation Hint", "dcerpc.cn_alloc_hint" },
	{ "Operation Number", "dcerpc.opnum" },
	{ "Status Code", "dcerpc.cn_status" },
	{ NULL, NULL }
};

static const struct label ipx_labels[] = {
	{ "IPX Length", "ipx.len" },
	{ "Transport Control", "ipx.hops" },
	{ "Destination Net Number", "ipx.dst.net" },
	{ "Destination Address", "ipx.dst.node" },
	{ "Destination Socket Number", "ipx.dst.socket" },
	{ "Source Net Number", "ipx.src.net" },
	{ "Source Address", "ipx.src.node" },
	{ "Source Socket Number", "ipx.src.socket" },
	{ NULL, NULL }
};

static const struct label spx_labels[] = {
	{ "Source Connection Identification", "spx.src" },
	{ "Destination Connection Identification", "spx.dst" },
	{ "Acknowledgement Number", "spx.ack" },
	{ "Acknowledge Number", "spx.ack" },
	{ NULL, NULL }
};

static const struct label ncp_labels[] = {
	{ "Request Type", "ncp.type" },
	{ "Reply Type", "ncp.type" },
	{ "Sequence number", "ncp.seq" },
	{ "Connection Number", "ncp.connection" },
	{ "Task Number", "ncp.task" },
	{ "Function Code", "ncp.func" },
	{ "Sub-function Code", "ncp.subfunc" },
	{ "Completion Code", "ncp.completion_code" },
	{ NULL, NULL }
};

static const struct label rip_labels[] = {
	{ "Address Family Identifier", "rip.family" },
	{ "Packet Type", "rip.command" },
	{ NULL, NULL }
};

static const struct label http_labels[] = {
	{ "Uniform Resource Identifier", "http.request.uri" },
	{ "Protocol Version", "http.request.version" },
	{ "Reason", "http.response.phrase" },
	{ "Accept-Encoding", "http.accept_encoding" },
	{ NULL, NULL }
};

/* A protocol of Network Monitor; @filter_names: Wireshark's protocols, separated by spaces. */
static const struct protocol {
	const char *name;
	const char *filter_names;
	const struct label *labels;
} protocols[] = {
	{ "FRAME", "frame", frame_labels },
	{ "ETHERNET", "eth", ethernet_labels },
	{ "TOKENRING", "tr", tokenring_labels },
	{ "FDDI", "fddi", fddi_labels },
	{ "LLC", "llc", llc_labels },
	{ "ARP_RARP", "arp", arp_rarp_labels },
	{ "IP", "ip", ip_labels },
	{ "ICMP", "icmp", icmp_labels },
	{ "IGMP", "igmp", igmp_labels },
	{ "TCP", "tcp", tcp_labels },
	{ "UDP", "udp", udp_labels },
	{ "DNS", "dns", dns_labels },
	{ "DHCP", "dhcp", dhcp_labels },
	{ "NBT", "nbss nbns nbdgm", nbt_labels },
	{ "NETBIOS", "netbios", netbios_labels },
	{ "SMB", "smb", smb_labels },
	{ "MSRPC", "dcerpc", msrpc_labels },
	{ "IPX", "ipx", ipx_labels },
	{ "SPX", "spx", spx_labels },
	{ "NCP", "ncp", ncp_labels },
	{ "RIP", "rip", rip_labels },
	{ "HTTP", "http", http_labels },
	{ NULL, NULL, NULL }
};

#define WORD_SIZE 64

/* The word number @turn of a list that is separated by spaces; NULL: it has no more. */
static const char *word(const char *list, unsigned int turn, char buffer[static WORD_SIZE])
{
	size_t length;

	for (; turn && list; turn--) {
		list = strchr(list, ' ');
		if (list)
			list++;
	}
	if (!list)
		return NULL;
	length = strcspn(list, " ");
	if (length >= WORD_SIZE)
		return NULL;
	memcpy(buffer, list, length);
	buffer[length] = '\0';
	return buffer;
}

static bool has_word(const char *list, const char *name)
{
	char buffer[WORD_SIZE];
	const char *found;

	for (unsigned int i = 0; (found = word(list, i, buffer)); i++)
		if (!strcmp(found, name))
			return true;
	return false;
}

const char *names_protocol(const char *filter_name)
{
	for (const struct protocol *protocol = protocols; protocol->name; protocol++)
		if (has_word(protocol->filter_names, filter_name))
			return protocol->name;
	return NULL;
}

const char *names_filter_name(const char *name, unsigned int turn)
{
	static char buffer[WORD_SIZE];

	for (const struct protocol *protocol = protocols; protocol->name; protocol++)
		if (!strcasecmp(protocol->name, name))
			return word(protocol->filter_names, turn, buffer);
	return NULL;
}

const char *names_field(const char *filter_name, const char *label, unsigned int turn)
{
	static char buffer[WORD_SIZE];

	for (const struct protocol *protocol = protocols; protocol->name; protocol++) {
		if (!has_word(protocol->filter_names, filter_name))
			continue;
		for (const struct label *entry = protocol->labels; entry->label; entry++)
			if (!strcasecmp(entry->label, label))
				return word(entry->fields, turn, buffer);
	}
	return NULL;
}

const char *names_label(const char *field)
{
	for (const struct protocol *protocol = protocols; protocol->name; protocol++)
		for (const struct label *entry = protocol->labels; entry->label; entry++)
			if (has_word(entry->fields, field))
				return entry->label;
	return NULL;
}
