/*
 * File systems that others change too: no event of this machine tells of it,
 * so that they have to be compared.  Watch worker; the list is pure.
 */
#include <sys/vfs.h>

#include "workers/watch/watch.h"

/* f_type of statfs(2): linux/magic.h, and the modules that are not in it. */
static const struct {
	uint32_t type;
	const char *name;
} remote[] = {
	{ 0x00006969, "nfs" },
	{ 0x0000517b, "smb" },
	{ 0xff534d42, "cifs" },
	{ 0xfe534d42, "smb" },
	{ 0x01021997, "9p" },
	{ 0x65735546, "fuse" }, /* and virtiofs */
	{ 0x5346414f, "afs" },
	{ 0x6b414653, "afs" },
	{ 0x00c36400, "ceph" },
	{ 0x73757245, "coda" },
	{ 0x0000564c, "ncp" },
	{ 0x01161970, "gfs2" },
	{ 0x7461636f, "ocfs2" },
	{ 0x0bd00bd0, "lustre" },
	{ 0x19830326, "beegfs" },
	{ 0x47504653, "gpfs" },
	{ 0x20030528, "orangefs" },
	{ 0xaad7aaea, "panfs" },
	{ 0x786f4256, "vboxsf" },
	{ 0xbacbacbc, "vmhgfs" },
	{ 0x7c7c6673, "prl_fs" },
	{ 0x00c0ffee, "hostfs" },
};

const char *
watch_fs_remote(uint32_t type)
{
	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if (remote[i].type == type)
			return (remote[i].name);
	return (NULL);
}

const char *
watch_fs_of(int fd)
{
	struct statfs sf;

	if (fstatfs(fd, &sf) == -1)
		return (NULL);
	return (watch_fs_remote((uint32_t)sf.f_type));
}
