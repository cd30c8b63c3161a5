// SPDX-License-Identifier: GPL-2.0
/*
 * Protocols, properties and filters, with an engine that the test is itself: tables, how long they
 * stay, finding instances forward and backward, the expert's limit, threads, and an engine that
 * lies in each word of its answers.
 *
 * needs: native
 * also: asan
 */
#include "fake_engine.h"

#include "harness.h"

FIXTURE(engine)
{
	struct fake_engine fake;
};

FIXTURE_SETUP(engine)
{
	ASSERT_TRUE(fake_start(&self->fake, 0, 0));
}

FIXTURE_TEARDOWN(engine)
{
	fake_stop(&self->fake);
}

static DWORD get(const struct fake_engine *fake, uint32_t number, DWORD flags,
		 LPEXPERTFRAMEDESCRIPTOR descriptor)
{
	return ExpertGetFrame(fake->key, GET_SPECIFIED_FRAME, flags, number, NULL, descriptor);
}

TEST_F(engine, a_protocol_is_found_by_either_name)
{
	HPROTOCOL tcp = GetProtocolFromName((LPSTR)"TCP");
	LPPROTOCOLINFO info;
	uint32_t requests;

	ASSERT_NE(NULL, tcp);
	EXPECT_EQ(tcp, GetProtocolFromName((LPSTR)"tcp"));
	EXPECT_EQ(EM_HANDLE_PROTOCOL, (uintptr_t)tcp >> 60);
	requests = self->fake.requests;
	EXPECT_EQ(tcp, GetProtocolFromName((LPSTR)"TCP"));
	EXPECT_EQ(requests, self->fake.requests);

	info = GetProtocolInfo(tcp);
	ASSERT_NE(NULL, info);
	EXPECT_STREQ("TCP", (char *)info->ProtocolName);
	EXPECT_STREQ("Transmission Control Protocol", (char *)info->Comment);
	EXPECT_STREQ("", (char *)info->HelpFile);
	EXPECT_EQ(FAKE_TCP, info->ProtocolID);
	ASSERT_NE(NULL, info->PropertyDatabase);
	EXPECT_EQ(8, info->PropertyDatabase->nProperties);
	EXPECT_STREQ("Source Port", info->PropertyDatabase->PropertyInfo[1]->Label);
	EXPECT_EQ(info, GetProtocolInfo(tcp));
}

TEST_F(engine, names_that_do_not_exist_are_errors_and_remembered)
{
	uint32_t requests;

	EXPECT_EQ(NULL, GetProtocolFromName((LPSTR)"XYZ"));
	EXPECT_EQ(NMERR_PROTOCOL_NOT_FOUND, BhGetLastError());
	EXPECT_EQ(0, fake_property("No such property"));
	EXPECT_EQ(NMERR_PROPERTY_NOT_FOUND, BhGetLastError());
	requests = self->fake.requests;
	EXPECT_EQ(NULL, GetProtocolFromName((LPSTR)"XYZ"));
	EXPECT_EQ(0, fake_property("No such property"));
	EXPECT_EQ(requests, self->fake.requests);
	EXPECT_EQ(NULL, GetProtocolFromName((LPSTR)""));
	EXPECT_EQ(NMERR_PROTOCOL_NOT_FOUND, BhGetLastError());
	EXPECT_EQ(0, fake_property(""));
	EXPECT_EQ(NMERR_PROPERTY_NOT_FOUND, BhGetLastError());
	EXPECT_EQ(NULL, GetProtocolFromName(NULL));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
	EXPECT_EQ(0, GetProperty(GetProtocolFromName((LPSTR)"TCP"), NULL));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
}

TEST_F(engine, a_bad_handle_is_an_error)
{
	HPROTOCOL tcp = GetProtocolFromName((LPSTR)"TCP");
	HPROPERTY port = fake_property("Source Port");
	HFRAME frame = fake_frame(&self->fake, 0);
	HPROTOCOL none = (HPROTOCOL)((uintptr_t)tcp + 1000);
	char text[10];

	EXPECT_EQ(NULL, GetProtocolInfo(NULL));
	EXPECT_EQ(NMERR_INVALID_HPROTOCOL, BhGetLastError());
	EXPECT_EQ(NULL, GetProtocolInfo((HPROTOCOL)frame));
	EXPECT_EQ(NMERR_INVALID_HPROTOCOL, BhGetLastError());
	EXPECT_EQ(NULL, GetProtocolInfo(none));
	EXPECT_EQ(NMERR_INVALID_HPROTOCOL, BhGetLastError());
	EXPECT_EQ(0, GetProperty(none, (LPSTR)"Source Port"));
	EXPECT_EQ(NMERR_INVALID_HPROTOCOL, BhGetLastError());
	EXPECT_EQ(NULL, GetPropertyInfo(0));
	EXPECT_EQ(NMERR_INVALID_HPROPERTY, BhGetLastError());
	EXPECT_EQ(NULL, GetPropertyInfo(port + 1000));
	EXPECT_EQ(NMERR_INVALID_HPROPERTY, BhGetLastError());
	EXPECT_EQ(NULL, FindPropertyInstance(NULL, port));
	EXPECT_EQ(NMERR_INVALID_HFRAME, BhGetLastError());
	EXPECT_EQ(NULL, FindPropertyInstance(frame, 0));
	EXPECT_EQ(NMERR_INVALID_HPROPERTY, BhGetLastError());
	EXPECT_EQ(NULL, FindPropertyInstance(frame, port + 1000));
	EXPECT_EQ(NMERR_INVALID_HPROPERTY, BhGetLastError());
	EXPECT_EQ(NULL, GetEnabledProtocols(NULL));
	EXPECT_EQ(NMERR_INVALID_HCAPTURE, BhGetLastError());
	EXPECT_EQ((DWORD)-1, GetProtocolStartOffset(NULL, (LPSTR)"TCP"));
	EXPECT_EQ(NMERR_INVALID_HFRAME, BhGetLastError());
	EXPECT_EQ((DWORD)-1, GetProtocolStartOffsetHandle(frame, NULL));
	EXPECT_EQ(NMERR_INVALID_HPROTOCOL, BhGetLastError());
	EXPECT_EQ(NULL, GetPropertyText(NULL, FindPropertyInstance(frame, port), text, 10));
	EXPECT_EQ(NMERR_INVALID_HFRAME, BhGetLastError());
	EXPECT_EQ(NMERR_INVALID_HFILTER, DestroyFilter(NULL));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, FilterAddObject(NULL, &(FILTEROBJECT){ .Action = 1 }));
}

TEST_F(engine, all_protocols_are_enabled)
{
	LPPROTOCOLTABLE table = GetEnabledProtocols(self->fake.capture);

	ASSERT_NE(NULL, table);
	ASSERT_EQ(FAKE_PROTOCOLS, table->nProtocols);
	EXPECT_EQ(GetProtocolFromName((LPSTR)"IP"), table->hProtocol[1]);
	EXPECT_EQ(table, GetEnabledProtocols(self->fake.capture));
}

TEST_F(engine, offsets_of_protocols)
{
	HFRAME frame = fake_frame(&self->fake, 3);
	DWORD offset = 99;

	EXPECT_EQ(0, GetProtocolStartOffset(frame, (LPSTR)"ETHERNET"));
	EXPECT_EQ(14, GetProtocolStartOffset(frame, (LPSTR)"IP"));
	EXPECT_EQ(34, GetProtocolStartOffsetHandle(frame, GetProtocolFromName((LPSTR)"TCP")));
	EXPECT_EQ((DWORD)-1, GetProtocolStartOffset(frame, (LPSTR)"UDP"));
	EXPECT_EQ(NMERR_PROTOCOL_NOT_FOUND, BhGetLastError());

	EXPECT_EQ(NMERR_SUCCESS,
		  GetPreviousProtocolOffsetByName(frame, 50, (LPSTR)"IP", &offset));
	EXPECT_EQ(40, offset);
	EXPECT_EQ(NMERR_SUCCESS,
		  GetPreviousProtocolOffsetByName(frame, 40, (LPSTR)"IP", &offset));
	EXPECT_EQ(14, offset);
	EXPECT_EQ(NMERR_PROTOCOL_NOT_FOUND,
		  GetPreviousProtocolOffsetByName(frame, 14, (LPSTR)"IP", &offset));
	EXPECT_EQ(NMERR_PROTOCOL_NOT_FOUND,
		  GetPreviousProtocolOffsetByName(frame, 0, (LPSTR)"ETHERNET", &offset));
	EXPECT_EQ(14, offset);
	EXPECT_EQ(NMERR_INVALID_PARAMETER,
		  GetPreviousProtocolOffsetByName(frame, 14, NULL, &offset));
	EXPECT_EQ(NMERR_INVALID_PARAMETER,
		  GetPreviousProtocolOffsetByName(frame, 14, (LPSTR)"IP", NULL));
}

TEST_F(engine, a_table_has_the_properties_of_a_frame)
{
	EXPERTFRAMEDESCRIPTOR frame;
	LPPROPERTYTABLE table;
	LPPROPERTYINST inst;

	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 5, FLAGS_ATTACH_PROPERTIES, &frame));
	ASSERT_NE(NULL, frame.lpRecognizeDataTable);
	EXPECT_EQ(5, frame.lpRecognizeDataTable->nRecognizeDatas);
	EXPECT_EQ(FAKE_TCP, frame.lpRecognizeDataTable->RecognizeData[2].ProtocolID);
	EXPECT_EQ(34, frame.lpRecognizeDataTable->RecognizeData[2].nProtocolOffset);
	table = frame.lpPropertyTable;
	ASSERT_NE(NULL, table);
	EXPECT_EQ(FAKE_RECORDS, table->nTotalPropertyInsts);
	ASSERT_EQ(3, table->nPropertyInstTables);
	EXPECT_EQ(1, table->PropertyInstTable[0].nPropertyInsts);
	EXPECT_EQ(1, table->PropertyInstTable[1].nPropertyInstIndex);
	EXPECT_EQ(2, table->PropertyInstTable[1].nPropertyInsts);
	EXPECT_EQ(3, table->PropertyInstTable[2].nPropertyInstIndex);
	EXPECT_EQ(8, table->PropertyInstTable[2].nPropertyInsts);

	inst = &table->lpFirstPropertyInst[4];
	EXPECT_EQ(2, inst->DataLength);
	EXPECT_EQ(IFLAG_SWAPPED, inst->IFlags);
	EXPECT_EQ((void *)(frame.pFrame->MacFrame + 34), inst->lpData);
	EXPECT_EQ(0x2223, XCHG(inst->lpWord[0]));
	EXPECT_EQ(NULL, inst->szPropertyText);
	EXPECT_TRUE(inst->Level == 1);
	EXPECT_STREQ("Source Port", inst->lpPropertyInfo->Label);
	EXPECT_EQ(inst->lpPropertyInfo, GetPropertyInfo(inst->lpPropertyInfo->hProperty));

	inst = &table->lpFirstPropertyInst[6];
	EXPECT_EQ(0xffff, inst->DataLength);
	EXPECT_EQ(1, inst->lpPropertyInstEx->Length);
	EXPECT_EQ(1, inst->lpPropertyInstEx->LengthEx);
	EXPECT_EQ(1, GetPropertyInstanceDataValue(inst, BYTE));
	EXPECT_EQ((void *)(frame.pFrame->MacFrame + 47), (void *)inst->lpPropertyInstEx->lpData);
	EXPECT_EQ(PROP_QUAL_FLAGS, inst->lpPropertyInfo->DataQualifier);
	ASSERT_EQ(1, inst->lpPropertyInfo->lpSet->nEntries);
	EXPECT_STREQ("Not set", inst->lpPropertyInfo->lpSet->lpLabeledBit[0].LabelOff);

	EXPECT_EQ(IFLAG_ERROR | IFLAG_SWAPPED, table->lpFirstPropertyInst[7].IFlags);
	EXPECT_TRUE(table->lpFirstPropertyInst[8].Level == 15);
	inst = &table->lpFirstPropertyInst[9];
	EXPECT_EQ(20, inst->lpPropertyInstEx->LengthEx);
	EXPECT_EQ(0, memcmp(inst->lpPropertyInstEx->Byte, fake_long, 20));
	EXPECT_EQ(NULL, inst->lpPropertyInstEx->lpData);

	inst = &table->lpFirstPropertyInst[2];
	ASSERT_EQ(2, inst->lpPropertyInfo->lpSet->nEntries);
	EXPECT_EQ(4, inst->lpPropertyInfo->lpSet->lpLabeledByteTable[0].Value);
	EXPECT_STREQ("six?", inst->lpPropertyInfo->lpSet->lpLabeledByteTable[1].Label);
}

TEST_F(engine, asking_again_gives_the_table_that_is_there)
{
	EXPERTFRAMEDESCRIPTOR first, again;
	uint32_t requests;

	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 5, FLAGS_ATTACH_PROPERTIES, &first));
	requests = self->fake.requests;
	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 5, FLAGS_ATTACH_PROPERTIES, &again));
	EXPECT_EQ(first.lpPropertyTable, again.lpPropertyTable);
	EXPECT_EQ(first.lpRecognizeDataTable, again.lpRecognizeDataTable);
	EXPECT_EQ(requests, self->fake.requests);
	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 5, 0, &again));
	EXPECT_EQ(NULL, again.lpPropertyTable);
}

TEST_F(engine, a_walk_asks_for_many_frames_at_once)
{
	EXPERTFRAMEDESCRIPTOR frame;
	uint32_t requests, sent;

	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 0, FLAGS_ATTACH_PROPERTIES, &frame));
	requests = self->fake.requests;
	for (uint32_t i = 1; i < 1000; i++)
		ASSERT_EQ(NMERR_SUCCESS, ExpertGetFrame(self->fake.key, GET_FRAME_NEXT_FORWARD,
			FLAGS_ATTACH_PROPERTIES, i - 1, NULL, &frame));
	EXPECT_LT(self->fake.requests - requests, 2 * (1000 / 64 + 4));
	for (uint32_t i = FAKE_FRAMES - 1; i > 9000; i--)
		ASSERT_EQ(NMERR_SUCCESS, ExpertGetFrame(self->fake.key, GET_FRAME_NEXT_BACKWARD,
			FLAGS_ATTACH_PROPERTIES, i, NULL, &frame));
	EXPECT_EQ(9000, frame.FrameNumber);

	/* frames here and there are asked for one by one */
	sent = self->fake.frames_sent;
	for (uint32_t i = 0; i < 20; i++)
		ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 2000 + i * 37 % 20 * 100,
					     FLAGS_ATTACH_PROPERTIES, &frame));
	EXPECT_EQ(sent + 40, self->fake.frames_sent);
}

/* A table stays for 16 MiB of others, and the memory of all of them has a bound. */
TEST_F(engine, tables_stay_for_a_while_and_then_their_memory_is_used_again)
{
	struct expertmem_heap_stats stats;
	EXPERTFRAMEDESCRIPTOR first, frame;
	LPPROPERTYINST inst;
	uint64_t before;

	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 0, FLAGS_ATTACH_PROPERTIES, &first));
	for (uint32_t i = 1; i < 8000; i++)
		ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, i, FLAGS_ATTACH_PROPERTIES, &frame));
	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 0, FLAGS_ATTACH_PROPERTIES, &frame));
	EXPECT_EQ(first.lpPropertyTable, frame.lpPropertyTable);
	inst = &first.lpPropertyTable->lpFirstPropertyInst[4];
	EXPECT_STREQ("Source Port", inst->lpPropertyInfo->Label);
	for (int round = 0; round < 3; round++)
		for (uint32_t i = 0; i < FAKE_FRAMES; i++) {
			HPROPERTY port = fake_property(round == 1 ? "Text" : "Source Port");

			ASSERT_EQ(NMERR_SUCCESS,
				  get(&self->fake, i, FLAGS_ATTACH_PROPERTIES, &frame));
			ASSERT_NE(NULL, FindPropertyInstance(frame.hFrame, port));
		}
	ASSERT_EQ(0, expertmem_heap_stats(self->fake.key, &stats));
	EXPECT_LT(stats.live_bytes, 18 << 20);
	before = stats.live_blocks;
	for (uint32_t i = 0; i < FAKE_FRAMES; i++)
		ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, i, FLAGS_ATTACH_PROPERTIES, &frame));
	ASSERT_EQ(0, expertmem_heap_stats(self->fake.key, &stats));
	EXPECT_LE(stats.live_blocks, before + 2);
}

TEST_F(engine, instances_are_found_without_attaching)
{
	HPROPERTY port = fake_property("Source Port"), hidden = fake_property("fake.hidden");
	LPPROPERTYINST found;
	uint32_t requests;

	found = FindPropertyInstance(fake_frame(&self->fake, 0), port);
	ASSERT_NE(NULL, found);
	EXPECT_EQ(0x2223, XCHG(found->lpWord[0]));
	EXPECT_EQ(found, FindPropertyInstance(fake_frame(&self->fake, 0), port));
	requests = self->fake.requests;
	for (uint32_t i = 0; i < 1000; i++)
		ASSERT_NE(NULL, FindPropertyInstance(fake_frame(&self->fake, i), port));
	EXPECT_LT(self->fake.requests - requests, 1000 / 64 + 4);
	for (uint32_t i = 0; i < 10; i++)
		EXPECT_EQ(i % 2 == 0, !!FindPropertyInstance(fake_frame(&self->fake, i), hidden));
	EXPECT_EQ(NMERR_PROPERTY_NOT_FOUND, BhGetLastError());
}

TEST_F(engine, hidden_properties_are_found_in_a_frame_with_a_table_too)
{
	HPROPERTY port = fake_property("Source Port"), hidden = fake_property("fake.hidden");
	EXPERTFRAMEDESCRIPTOR frame;
	LPPROPERTYINST found;

	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 4, FLAGS_ATTACH_PROPERTIES, &frame));
	EXPECT_EQ(&frame.lpPropertyTable->lpFirstPropertyInst[4],
		  FindPropertyInstance(frame.hFrame, port));
	found = FindPropertyInstance(frame.hFrame, hidden);
	ASSERT_NE(NULL, found);
	EXPECT_EQ((void *)(frame.pFrame->MacFrame + 40), found->lpData);
}

/* tcp.checksum is twice in the frame, and tcp.options.checksum once; both are "Checksum". */
static void walk_checksums(struct __test_metadata *_metadata, const struct fake_engine *fake,
			   uint32_t number)
{
	HPROPERTY checksum = fake_property("Checksum");
	HFRAME frame = fake_frame(fake, number);
	LPPROPERTYINST key = NULL, found[4], none = NULL;

	for (int i = 0; i < 3; i++) {
		found[i] = FindPropertyInstanceRestart(frame, checksum, &key, TRUE);
		ASSERT_NE(NULL, found[i]);
		EXPECT_EQ(found[i], key);
	}
	EXPECT_EQ(50, (ULPBYTE)found[0]->lpData - GetFrameFromFrameHandle(frame)->MacFrame);
	EXPECT_EQ(48, (ULPBYTE)found[1]->lpData - GetFrameFromFrameHandle(frame)->MacFrame);
	EXPECT_EQ(52, (ULPBYTE)found[2]->lpData - GetFrameFromFrameHandle(frame)->MacFrame);
	EXPECT_EQ(NULL, FindPropertyInstanceRestart(frame, checksum, &key, TRUE));
	EXPECT_EQ(NMERR_PROPERTY_NOT_FOUND, BhGetLastError());
	EXPECT_EQ(found[2], key);
	EXPECT_EQ(found[1], FindPropertyInstanceRestart(frame, checksum, &key, FALSE));
	EXPECT_EQ(found[0], FindPropertyInstanceRestart(frame, checksum, &key, FALSE));
	EXPECT_EQ(NULL, FindPropertyInstanceRestart(frame, checksum, &key, FALSE));
	EXPECT_EQ(found[2], FindPropertyInstanceRestart(frame, checksum, &none, FALSE));
	EXPECT_EQ(found[0], FindPropertyInstanceRestart(frame, checksum, NULL, TRUE));
	EXPECT_EQ(found[2], FindPropertyInstanceRestart(frame, checksum, NULL, FALSE));
	EXPECT_EQ(found[0], FindPropertyInstance(frame, checksum));

	/* keys that are none */
	key = (LPPROPERTYINST)((char *)found[0] + 8);
	EXPECT_EQ(NULL, FindPropertyInstanceRestart(frame, checksum, &key, TRUE));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
	key = (LPPROPERTYINST)&found;
	EXPECT_EQ(NULL, FindPropertyInstanceRestart(frame, checksum, &key, TRUE));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
	key = FindPropertyInstance(frame, fake_property("Text"));
	EXPECT_EQ(NULL, FindPropertyInstanceRestart(frame, checksum, &key, TRUE));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
	key = found[0];
	EXPECT_EQ(NULL, FindPropertyInstanceRestart(fake_frame(fake, number + 1), checksum, &key,
						    TRUE));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
}

TEST_F(engine, a_handle_stands_for_all_fields_with_its_name)
{
	EXPERTFRAMEDESCRIPTOR frame;

	walk_checksums(_metadata, &self->fake, 8);
	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 20, FLAGS_ATTACH_PROPERTIES, &frame));
	walk_checksums(_metadata, &self->fake, 20);
}

TEST_F(engine, a_search_goes_on_after_the_frame_got_its_table)
{
	HPROPERTY checksum = fake_property("Checksum");
	HFRAME handle = fake_frame(&self->fake, 8);
	LPPROPERTYINST key = NULL, again = NULL;
	EXPERTFRAMEDESCRIPTOR frame;

	ASSERT_NE(NULL, FindPropertyInstanceRestart(handle, checksum, &key, TRUE));
	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 8, FLAGS_ATTACH_PROPERTIES, &frame));
	ASSERT_NE(NULL, FindPropertyInstanceRestart(handle, checksum, &key, TRUE));
	ASSERT_NE(NULL, FindPropertyInstanceRestart(handle, checksum, &key, TRUE));
	EXPECT_EQ(NULL, FindPropertyInstanceRestart(handle, checksum, &key, TRUE));
	ASSERT_NE(NULL, FindPropertyInstanceRestart(handle, checksum, &again, TRUE));
	EXPECT_EQ(&frame.lpPropertyTable->lpFirstPropertyInst[7], again);
}

TEST_F(engine, a_crashed_frame_has_no_tables_and_others_have)
{
	HPROPERTY port = fake_property("Source Port");
	EXPERTFRAMEDESCRIPTOR frame;
	uint32_t requests;

	self->fake.crashed = 3;
	for (uint32_t i = 0; i < 10; i++) {
		DWORD error = get(&self->fake, i, FLAGS_ATTACH_PROPERTIES, &frame);

		EXPECT_EQ(i == 3 ? NMERR_INTERNAL_EXCEPTION : NMERR_SUCCESS, error);
		EXPECT_EQ(i, frame.FrameNumber);
		EXPECT_NE(NULL, frame.pFrame);
		EXPECT_EQ(i == 3, !frame.lpPropertyTable);
	}
	EXPECT_EQ(NULL, FindPropertyInstance(fake_frame(&self->fake, 3), port));
	EXPECT_EQ(NMERR_INTERNAL_EXCEPTION, BhGetLastError());
	requests = self->fake.requests;
	EXPECT_EQ(NMERR_INTERNAL_EXCEPTION, get(&self->fake, 3, FLAGS_ATTACH_PROPERTIES, &frame));
	EXPECT_EQ((DWORD)-1, GetProtocolStartOffset(frame.hFrame, (LPSTR)"TCP"));
	EXPECT_EQ(NMERR_INTERNAL_EXCEPTION, BhGetLastError());
	EXPECT_EQ(requests, self->fake.requests);
}

TEST_F(engine, a_closed_expert_has_no_handles)
{
	HPROPERTY port = fake_property("Source Port");
	HFRAME frame = fake_frame(&self->fake, 0);
	struct fake_engine other;

	ASSERT_TRUE(fake_start(&other, 0, 0));
	EXPECT_EQ(NULL, FindPropertyInstance(fake_frame(&other, 0), port));
	EXPECT_EQ(NMERR_INVALID_HPROPERTY, BhGetLastError());
	fake_stop(&other);
	EXPECT_EQ(NULL, FindPropertyInstance(fake_frame(&other, 0), port));
	EXPECT_EQ(NMERR_INVALID_HFRAME, BhGetLastError());
	EXPECT_NE(NULL, FindPropertyInstance(frame, port));
	expertmem_terminate(self->fake.key);
	EXPECT_EQ(NULL, FindPropertyInstance(frame, port));
	EXPECT_EQ(NMERR_EXPERT_TERMINATE, BhGetLastError());
}

/* Calls that wait for the client's lock in threads of their own. */
static void *get_property_of(void *protocol)
{
	HPROPERTY property = GetProperty((HPROTOCOL)protocol, (LPSTR)"Source Port");

	return (void *)(uintptr_t)(property ? NMERR_SUCCESS : BhGetLastError());
}

static void *get_number_of(void *frame)
{
	DWORD number = GetFrameNumber((HFRAME)frame);

	return (void *)(uintptr_t)(number == INVALID_FRAME_NUMBER ? BhGetLastError() : 0);
}

/*
 * While the threads wait for the lock, the client of the expert becomes that of another one, as if
 * another thread had closed the first expert and opened the other in its slot.
 */
TEST_F(engine, a_slot_with_another_expert_is_not_taken_for_the_first_one)
{
	const DWORD codes[] = { NMERR_INVALID_HPROTOCOL, NMERR_INVALID_HFRAME };
	void *(*const calls_of[])(void *) = { get_property_of, get_number_of };
	HFRAME frame = fake_frame(&self->fake, 0);
	void *args[] = { NULL, (void *)frame };
	struct em_client *client;
	struct fake_engine other;
	pthread_t threads[2];
	uint32_t number;
	void *code;

	/* GetFrameNumber() takes the lock because no call has attached the expert. */
	args[0] = (void *)(uintptr_t)((uintptr_t)frame ^
		  (uintptr_t)(EM_HANDLE_FRAME ^ EM_HANDLE_PROTOCOL) << 60);
	ASSERT_TRUE(fake_start(&other, 0, 0));
	client = em_client_of((uintptr_t)frame, EM_HANDLE_FRAME, &number);
	ASSERT_NE(NULL, client);
	pthread_mutex_lock(&client->lock);
	for (int i = 1; i >= 0; i--)
		pthread_create(&threads[i], NULL, calls_of[i], args[i]);
	usleep(100000);
	em_store_release(&client->key, other.key);
	pthread_mutex_unlock(&client->lock);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &code);
		EXPECT_EQ(codes[i], (uintptr_t)code) TH_LOG("call %d", i);
	}
	em_store_release(&client->key, self->fake.key);
	fake_stop(&other);
}

TEST_F(engine, an_engine_that_ended_is_an_error)
{
	HPROPERTY port = fake_property("Source Port");

	shutdown(self->fake.fd, SHUT_RDWR);
	EXPECT_EQ(NULL, FindPropertyInstance(fake_frame(&self->fake, 0), port));
	EXPECT_EQ(NMERR_LOST_CONNECTION, BhGetLastError());
}

/* --------------------------------------------------------------------------- filters */

static DWORD add(HFILTER filter, DWORD action, HPROPERTY property, DWORD value)
{
	FILTEROBJECT object = { .Action = action, .hProperty = property, .Value = value };

	return FilterAddObject(filter, &object);
}

TEST_F(engine, a_filter_is_compiled_when_it_is_used)
{
	HPROPERTY port = fake_property("Source Port");
	EXPERTFRAMEDESCRIPTOR frame;
	HFILTER filter = CreateFilter(), copy;

	ASSERT_NE(NULL, filter);
	EXPECT_FALSE(FilterAttachesProperties(filter));
	EXPECT_EQ(NMERR_SUCCESS, add(filter, FILTERACTION_PROPERTY, port, 0));
	EXPECT_TRUE(FilterAttachesProperties(filter));
	EXPECT_EQ(NMERR_FILTER_INVALID_EXPRESSION, ExpertGetFrame(self->fake.key,
		GET_FRAME_NEXT_FORWARD, 0, INVALID_FRAME_NUMBER, filter, &frame));
	EXPECT_EQ(0, self->fake.filters);
	EXPECT_EQ(NMERR_SUCCESS, add(filter, FILTERACTION_VALUE, 0, 80));
	EXPECT_EQ(NMERR_SUCCESS, add(filter, FILTERACTION_EQUAL, 0, 0));
	EXPECT_EQ(NMERR_SUCCESS, ExpertGetFrame(self->fake.key, GET_FRAME_NEXT_FORWARD, 0, 0,
						filter, &frame));
	EXPECT_EQ(2, frame.FrameNumber);
	EXPECT_EQ(1, self->fake.filters);
	EXPECT_EQ(NMERR_FRAME_FAILED_FILTER, ExpertGetFrame(self->fake.key, GET_SPECIFIED_FRAME,
							    0, 3, filter, &frame));

	copy = FilterDuplicate(filter);
	ASSERT_NE(NULL, copy);
	EXPECT_EQ(FILTER_PASSED, FilterFrame(fake_frame(&self->fake, 4), copy, self->fake.capture));
	EXPECT_EQ(2, self->fake.filters);
	EXPECT_EQ(FILTER_FAILED, FilterFrame(fake_frame(&self->fake, FAKE_FRAMES - 1), copy,
					     self->fake.capture));
	EXPECT_EQ((DWORD)-1, FilterFrame(fake_frame(&self->fake, 9), copy, NULL));
	EXPECT_EQ(NMERR_INVALID_HCAPTURE, BhGetLastError());
	EXPECT_EQ((DWORD)-1, FilterFrame(fake_frame(&self->fake, 9), NULL, self->fake.capture));
	EXPECT_EQ(NMERR_INVALID_HFILTER, BhGetLastError());

	EXPECT_EQ(NMERR_SUCCESS, DestroyFilter(filter));
	EXPECT_EQ(1, self->fake.filters);
	EXPECT_EQ(NMERR_INVALID_HFILTER, DestroyFilter(filter));
	EXPECT_EQ(NMERR_INVALID_HFILTER, ExpertGetFrame(self->fake.key, GET_FRAME_NEXT_FORWARD,
							0, 0, filter, &frame));
	EXPECT_EQ(NMERR_SUCCESS, add(copy, FILTERACTION_NOT, 0, 0));
	EXPECT_EQ(0, self->fake.filters);	/* it has to be compiled again */
	EXPECT_EQ(FILTER_PASSED, FilterFrame(fake_frame(&self->fake, 4), copy, self->fake.capture));
	EXPECT_STREQ("(!(tcp.srcport == 80))", self->fake.filter);
	EXPECT_EQ(NMERR_SUCCESS, DestroyFilter(copy));
}

static unsigned int calls;

static BOOL report(DWORD frame, HCAPTURE capture, HFILTER filter, LPVOID arg)
{
	(void)frame, (void)capture;
	calls++;
	FilterAttachesProperties(filter);	/* no lock is held */
	return !*(int *)arg;
}

static void no_frame_passes(struct fake_engine *engine, struct engine_reply *reply)
{
	if (engine->request.op == ENGINE_SEARCH)
		reply->count = reply->size = 0;
}

TEST_F(engine, a_search_calls_back_and_can_be_cancelled)
{
	HFILTER filter = CreateFilter();
	DWORD last = FAKE_FRAMES - 1;
	int cancel = 0;

	add(filter, FILTERACTION_BOOL, 0, 1);
	EXPECT_EQ(0, FilterFindFrame(filter, self->fake.capture, INVALID_FRAME_NUMBER, NULL, NULL,
				     0, FILTER_DIRECTION_NEXT));
	EXPECT_EQ(2, FilterFindFrame(filter, self->fake.capture, 0, report, &cancel, 0,
				     FILTER_DIRECTION_NEXT));
	EXPECT_EQ(4, FilterFindFrame(filter, self->fake.capture, 6, report, &cancel, 0,
				     FILTER_DIRECTION_PREV));
	EXPECT_EQ(last - 1, FilterFindFrame(filter, self->fake.capture, INVALID_FRAME_NUMBER,
					    NULL, NULL, 0, FILTER_DIRECTION_PREV));
	EXPECT_EQ(FILTER_NO_MORE_FRAMES, FilterFindFrame(filter, self->fake.capture, last - 1,
							 NULL, NULL, 0, FILTER_DIRECTION_NEXT));
	EXPECT_EQ(NMERR_NO_MORE_FRAMES, BhGetLastError());
	EXPECT_EQ(FILTER_NO_MORE_FRAMES, FilterFindFrame(filter, self->fake.capture, 0, NULL,
							 NULL, 0, FILTER_DIRECTION_PREV));
	self->fake.change = no_frame_passes;
	EXPECT_EQ(0, calls);
	EXPECT_EQ(FILTER_NO_MORE_FRAMES, FilterFindFrame(filter, self->fake.capture, 0, report,
							 &cancel, 0, FILTER_DIRECTION_NEXT));
	EXPECT_GT(calls, 5);
	EXPECT_EQ(FILTER_NO_MORE_FRAMES, FilterFindFrame(filter, self->fake.capture, last, report,
							 &cancel, 0, FILTER_DIRECTION_PREV));
	cancel = 1;
	EXPECT_EQ(FILTER_CANCELED, FilterFindFrame(filter, self->fake.capture, 0, report, &cancel,
						   0, FILTER_DIRECTION_NEXT));
	DestroyFilter(filter);
}

static int64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Look at one frame for each request, which takes less time than the library's tick. */
static void search_slowly(struct fake_engine *engine, struct engine_reply *reply)
{
	if (engine->request.op != ENGINE_SEARCH)
		return;
	usleep(10000);
	reply->count = reply->size = 0;
	reply->next = engine->request.frame + 1;
}

static void *terminate_soon(void *key)
{
	usleep(100000);
	expertmem_terminate(key);
	return NULL;
}

TEST_F(engine, terminate_ends_a_search_whose_replies_come_at_once)
{
	HFILTER filter = CreateFilter();
	EXPERTFRAMEDESCRIPTOR frame;
	int64_t start = milliseconds();
	pthread_t thread;

	add(filter, FILTERACTION_BOOL, 0, 1);
	self->fake.change = search_slowly;
	pthread_create(&thread, NULL, terminate_soon, self->fake.key);
	EXPECT_EQ(NMERR_EXPERT_TERMINATE,
		  ExpertGetFrame(self->fake.key, GET_FRAME_NEXT_FORWARD, 0, INVALID_FRAME_NUMBER,
				 filter, &frame));
	pthread_join(thread, NULL);
	EXPECT_LT(milliseconds() - start, 1000);
}

/* fake.arg: what to add to the first frame that the request asks for. */
static void search_to(struct fake_engine *engine, struct engine_reply *reply)
{
	if (engine->request.op != ENGINE_SEARCH)
		return;
	reply->count = reply->size = 0;
	reply->next = engine->request.frame + engine->arg[0];
}

static void search_finds(struct fake_engine *engine, struct engine_reply *reply)
{
	const uint32_t found = engine->request.frame + engine->arg[0];

	if (engine->request.op != ENGINE_SEARCH)
		return;
	memcpy(engine->results, &found, sizeof(found));
	reply->count = 1;
	reply->size = sizeof(found);
}

TEST(a_search_that_does_not_go_on_loses_the_connection)
{
	/* not on, back, further than the 16 frames of the first request, behind the end */
	static const unsigned int steps[] = { 0, -1, 17, FAKE_FRAMES };
	EXPERTFRAMEDESCRIPTOR frame;
	int cancel = 0;

	for (size_t i = 0; i < 2 * sizeof(steps) / sizeof(steps[0]); i++) {
		struct fake_engine fake;
		HFILTER filter;

		ASSERT_TRUE(fake_start(&fake, 0, 0));
		GetCaptureTotalFrames(fake.capture);
		filter = CreateFilter();
		add(filter, FILTERACTION_BOOL, 0, 1);
		/* The frame where a search begins may be found. */
		fake.arg[0] = i == 4 ? 16 : steps[i % 4];
		fake.change = i < 4 ? search_to : search_finds;
		EXPECT_EQ(FILTER_NO_MORE_FRAMES,
			  FilterFindFrame(filter, fake.capture, 100, report, &cancel, 0,
					  FILTER_DIRECTION_NEXT)) TH_LOG("case %zu", i);
		EXPECT_EQ(NMERR_LOST_CONNECTION, BhGetLastError()) TH_LOG("case %zu", i);
		EXPECT_EQ(NMERR_LOST_CONNECTION,
			  ExpertGetFrame(fake.key, GET_FRAME_NEXT_FORWARD, 0, 100, filter,
					 &frame));
		fake_stop(&fake);
	}
}

TEST_F(engine, what_an_object_points_to_is_copied)
{
	struct expertmem_heap_stats before, after;
	HPROPERTY text = fake_property("Text");
	HFILTER filter = CreateFilter();
	char string[] = "abc";
	FILTEROBJECT object = { .Action = FILTERACTION_STRING, .lpArray = string };

	DestroyFilter(filter);
	ASSERT_EQ(0, expertmem_heap_stats(self->fake.key, &before));
	filter = CreateFilter();
	add(filter, FILTERACTION_PROPERTY, text, 0);
	EXPECT_EQ(NMERR_SUCCESS, FilterAddObject(filter, &object));
	memset(string, 'x', 3);
	add(filter, FILTERACTION_EQUAL, 0, 0);
	self->fake.change = NULL;
	EXPECT_EQ(FILTER_PASSED, FilterFrame(fake_frame(&self->fake, 0), filter,
					     self->fake.capture));
	object.lpArray = NULL;
	EXPECT_EQ(NMERR_INVALID_PARAMETER, FilterAddObject(filter, &object));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, FilterAddObject(filter, NULL));
	for (int i = 3; i < 1024; i++)
		ASSERT_EQ(NMERR_SUCCESS, add(filter, FILTERACTION_NOT, 0, 0));
	EXPECT_EQ(NMERR_STACK_OVERFLOW, add(filter, FILTERACTION_NOT, 0, 0));
	DestroyFilter(filter);
	ASSERT_EQ(0, expertmem_heap_stats(self->fake.key, &after));
	EXPECT_EQ(before.live_blocks, after.live_blocks);
	EXPECT_EQ(before.live_bytes, after.live_bytes);
}

/* ------------------------------------------------------------------------------- text */

TEST_F(engine, text_of_properties)
{
	HPROPERTY port = fake_property("Source Port"), text = fake_property("Text");
	LPPROPERTYINST found = FindPropertyInstance(fake_frame(&self->fake, 0), port);
	HFRAME frame = fake_frame(&self->fake, 0);
	PROPERTYINST copy;
	char buffer[64];

	ASSERT_NE(NULL, found);
	EXPECT_STREQ("Source Port = 8739 (0x2223)", GetPropertyText(frame, found, buffer, 64));
	EXPECT_EQ(NMERR_SUCCESS, BhGetLastError());
	memset(buffer, '#', sizeof(buffer));
	EXPECT_STREQ("Source Po", GetPropertyText(frame, found, buffer, 10));
	EXPECT_EQ(NMERR_BUFFER_TOO_SMALL, BhGetLastError());
	EXPECT_EQ('#', buffer[10]);
	EXPECT_EQ(NULL, GetPropertyText(frame, found, buffer, 0));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
	EXPECT_EQ(NULL, GetPropertyText(frame, NULL, buffer, 10));
	EXPECT_EQ(NULL, GetPropertyText(frame, found, NULL, 10));

	EXPECT_EQ(NMERR_SUCCESS, FormatPropertyInstance(found));
	EXPECT_STREQ("Source Port = 8739 (0x2223)", found->szPropertyText);
	EXPECT_EQ(NMERR_INVALID_PARAMETER, FormatPropertyInstance(NULL));
	found = FindPropertyInstance(frame, text);
	copy = *found;
	EXPECT_EQ(NMERR_SUCCESS, FormatPropertyInstance(&copy));
	EXPECT_STREQ("Text = ab\\ncdefg", copy.szPropertyText);
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->fake.key, copy.szPropertyText));
	found = FindPropertyInstance(frame, fake_property("tcp.flags.ack"));
	EXPECT_STREQ("Acknowledgment = ...1.... = Set", GetPropertyText(frame, found, buffer, 64));
}

/* ---------------------------------------------------------------------------- the limit */

FIXTURE(limited)
{
	struct fake_engine fake;
};

FIXTURE_SETUP(limited)
{
	ASSERT_TRUE(fake_start(&self->fake, 3 << 20, 0));
}

FIXTURE_TEARDOWN(limited)
{
	fake_stop(&self->fake);
}

TEST_F(limited, a_table_above_the_limit_is_an_error_and_the_old_ones_stay)
{
	EXPERTFRAMEDESCRIPTOR first, frame;
	DWORD error = NMERR_SUCCESS;
	uint32_t i;

	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 0, FLAGS_ATTACH_PROPERTIES, &first));
	for (i = 1; i < FAKE_FRAMES && !error; i++)
		error = get(&self->fake, i, FLAGS_ATTACH_PROPERTIES, &frame);
	EXPECT_EQ(NMERR_OUT_OF_MEMORY, error);
	EXPECT_GT(i, 1000);
	/* the descriptor is that of the frame before the one that failed */
	EXPECT_EQ(i - 2, frame.FrameNumber);
	EXPECT_EQ(NMERR_SUCCESS, get(&self->fake, 0, FLAGS_ATTACH_PROPERTIES, &frame));
	EXPECT_EQ(first.lpPropertyTable, frame.lpPropertyTable);
	error = NMERR_SUCCESS;
	for (i = 0; i < 100000 && !error; i++)
		error = CreateFilter() ? NMERR_SUCCESS : BhGetLastError();
	EXPECT_EQ(NMERR_OUT_OF_MEMORY, error);
}

/* -------------------------------------------------------------------------- asked only */

FIXTURE(asked)
{
	struct fake_engine fake;
};

FIXTURE_SETUP(asked)
{
	ASSERT_TRUE(fake_start(&self->fake, 0, EXPERTMEM_ASKED_PROPERTIES |
					       EXPERTMEM_NO_RECOGNIZE));
}

FIXTURE_TEARDOWN(asked)
{
	fake_stop(&self->fake);
}

TEST_F(asked, only_one_field_is_attached)
{
	HPROPERTY port = fake_property("Source Port");
	EXPERTFRAMEDESCRIPTOR frame;

	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 0, FLAGS_ATTACH_PROPERTIES, &frame));
	EXPECT_EQ(NULL, frame.lpRecognizeDataTable);
	EXPECT_EQ(ENGINE_FIELD, self->fake.request.flags);
	ASSERT_EQ(1, frame.lpPropertyTable->nTotalPropertyInsts);
	EXPECT_EQ(port, frame.lpPropertyTable->lpFirstPropertyInst->lpPropertyInfo->hProperty);
	EXPECT_NE(0, fake_property("Text"));	/* too late */
	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 90, FLAGS_ATTACH_PROPERTIES, &frame));
	EXPECT_EQ(1, frame.lpPropertyTable->nTotalPropertyInsts);
	EXPECT_EQ(34, GetProtocolStartOffset(frame.hFrame, (LPSTR)"TCP"));
}

TEST_F(asked, two_fields_are_attached)
{
	EXPERTFRAMEDESCRIPTOR frame;
	uint32_t fields[2];

	fake_property("Source Port");
	fake_property("Text");
	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 0, FLAGS_ATTACH_PROPERTIES, &frame));
	/* now the names of the protocols' fields are known, and the last request is for properties */
	ASSERT_EQ(NMERR_SUCCESS, get(&self->fake, 90, FLAGS_ATTACH_PROPERTIES, &frame));
	EXPECT_EQ(ENGINE_ASKED, self->fake.request.flags);
	ASSERT_EQ(sizeof(fields) + 1, self->fake.request.length);
	memcpy(fields, self->fake.request.text, sizeof(fields));
	EXPECT_EQ(FAKE_SRCPORT, fields[0]);
	EXPECT_EQ(FAKE_TEXT, fields[1]);
	EXPECT_EQ(2, frame.lpPropertyTable->nTotalPropertyInsts);
	EXPECT_EQ(3, frame.lpPropertyTable->nPropertyInstTables);
	EXPECT_EQ(0, frame.lpPropertyTable->PropertyInstTable[2].nPropertyInstIndex);
	EXPECT_EQ(2, frame.lpPropertyTable->PropertyInstTable[2].nPropertyInsts);
}

/* ------------------------------------------------------------------- an engine that lies */

static const uint32_t lies[] = {
	0, 1, 2, 7, 8, 15, 16, 61, 62, 63, 0x7f, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
	0xfffffffe, 0xffffffff,
};
#define NR_LIES	(sizeof(lies) / sizeof(lies[0]))

/* Replace a word of the answer to requests of the kind arg[0]: arg[1] is its number. */
static void lie(struct fake_engine *engine, struct engine_reply *reply)
{
	uint32_t *words = (uint32_t *)engine->results;

	if (engine->request.op != engine->arg[0])
		return;
	if (engine->arg[1] < 1000)
		words[engine->arg[1]] = lies[engine->arg[2]];
	else
		((uint32_t *)reply)[engine->arg[1] - 1000] = lies[engine->arg[2]];
}

/* Make all calls, and look at all that they return. */
static void use_everything(struct __test_metadata *_metadata, struct fake_engine *fake)
{
	HPROTOCOL tcp = GetProtocolFromName((LPSTR)"TCP");
	LPPROTOCOLINFO info = GetProtocolInfo(tcp);
	LPPROTOCOLTABLE enabled = GetEnabledProtocols(fake->capture);
	HPROPERTY checksum = fake_property("Checksum");
	EXPERTFRAMEDESCRIPTOR frame = { .hFrame = NULL };
	LPPROPERTYINST key = NULL;
	size_t bytes = 0;
	char text[300];
	DWORD error;

	if (info)
		bytes += strlen((char *)info->ProtocolName) + strlen((char *)info->Comment);
	for (DWORD i = 0; enabled && i < enabled->nProtocols; i++)
		bytes += (uintptr_t)enabled->hProtocol[i];
	error = get(fake, 1, FLAGS_ATTACH_PROPERTIES, &frame);
	ASSERT_TRUE(error == NMERR_SUCCESS || error == NMERR_INVALID_DATA ||
		    error == NMERR_LOST_CONNECTION || error == NMERR_OUT_OF_MEMORY ||
		    error == NMERR_INTERNAL_EXCEPTION || error == NMERR_RUNAWAY_PROTOCOL ||
		    error == NMERR_FRAME_NOT_FOUND || error == NMERR_PROTOCOL_NOT_FOUND ||
		    error == NMERR_NOT_SUPPORTED || error == NMERR_INVALID_HFILTER ||
		    error == NMERR_FILTER_INVALID_EXPRESSION || error == NMERR_PROPERTY_NOT_FOUND)
		TH_LOG("error %u", error);
	if (!error && frame.lpPropertyTable)
		for (DWORD i = 0; i < frame.lpPropertyTable->nTotalPropertyInsts; i++) {
			LPPROPERTYINST inst = &frame.lpPropertyTable->lpFirstPropertyInst[i];
			const BYTE *data = GetPropertyInstanceData(inst);
			DWORD length = inst->DataLength == 0xffff ?
				       GetPropertyInstanceExDataLength(inst) : inst->DataLength;

			for (DWORD b = 0; b < length; b++)
				bytes += data[b];
			GetPropertyText(frame.hFrame, inst, text, sizeof(text));
			FormatPropertyInstance(inst);
		}
	while (FindPropertyInstanceRestart(frame.hFrame, checksum, &key, TRUE))
		bytes += GetPropertyInstanceDataValue(key, BYTE);
	GetProtocolStartOffset(frame.hFrame, (LPSTR)"IP");
	GetPreviousProtocolOffsetByName(frame.hFrame, 50, (LPSTR)"IP", &error);
	__asm__ volatile("" :: "r"(bytes));
}

static void lie_everywhere(struct __test_metadata *_metadata, unsigned int op,
			   unsigned int words)
{
	unsigned int reply_words = offsetof(struct engine_reply, text) / 4, ran = 0;

	for (unsigned int word = 0; word < words + reply_words; word++)
		for (unsigned int i = 0; i < NR_LIES; i++, ran++) {
			struct fake_engine fake;

			ASSERT_TRUE(fake_start(&fake, 0, 0));
			fake.arg[0] = op;
			fake.arg[1] = word < words ? word : 1000 + word - words;
			fake.arg[2] = i;
			fake.change = lie;
			/* a reply with another sequence is waited for in vain */
			if (fake.arg[1] != 1001)
				use_everything(_metadata, &fake);
			fake_stop(&fake);
		}
	EXPECT_EQ((words + reply_words) * NR_LIES, ran);
}

TEST(an_engine_may_lie_about_properties)
{
	lie_everywhere(_metadata, ENGINE_PROPERTIES, 4 + 6 * FAKE_RECORDS + 6);
}

TEST(an_engine_may_lie_about_layers)
{
	lie_everywhere(_metadata, ENGINE_PROTOCOLS, 10);
}

TEST(an_engine_may_lie_about_protocols)
{
	lie_everywhere(_metadata, ENGINE_PROTOCOL, 16);
}

TEST(an_engine_may_lie_about_fields)
{
	lie_everywhere(_metadata, ENGINE_FIELD_INFO, 32);
}

TEST(an_engine_may_lie_about_numbers)
{
	lie_everywhere(_metadata, ENGINE_FIELDS, 4);
}

/* A frame's header may change after its size was read. */
static void shrink_frame(struct fake_engine *engine, struct engine_reply *reply)
{
	(void)reply;
	((FRAME *)(engine->frames + FAKE_STEP))->nBytesAvail = 40;
}

TEST_F(engine, properties_outside_of_the_frame_are_refused)
{
	EXPERTFRAMEDESCRIPTOR frame;

	self->fake.change = shrink_frame;
	EXPECT_EQ(NMERR_INVALID_DATA, get(&self->fake, 1, FLAGS_ATTACH_PROPERTIES, &frame));
	EXPECT_EQ(NULL, frame.lpPropertyTable);
	EXPECT_EQ(NMERR_SUCCESS, get(&self->fake, 2, FLAGS_ATTACH_PROPERTIES, &frame));
}

/* --------------------------------------------------------------------------- threads */

struct walker {
	struct fake_engine *fake;
	unsigned int step;
	unsigned int errors;
};

static void *walk(void *arg)
{
	struct walker *walker = arg;
	HPROPERTY port = fake_property("Source Port");
	char text[64];

	for (unsigned int i = 0; i < 3000; i++) {
		HFRAME frame = fake_frame(walker->fake, i * walker->step % FAKE_FRAMES);
		LPPROPERTYINST found = FindPropertyInstance(frame, port);
		EXPERTFRAMEDESCRIPTOR descriptor;

		walker->errors += !found || XCHG(found->lpWord[0]) != 0x2223 ||
				  !GetPropertyText(frame, found, text, sizeof(text)) ||
				  strcmp(text, "Source Port = 8739 (0x2223)") != 0 ||
				  get(walker->fake, i * walker->step % FAKE_FRAMES,
				      i % 3 ? 0 : FLAGS_ATTACH_PROPERTIES, &descriptor);
	}
	return NULL;
}

TEST_F(engine, threads_walk_at_once)
{
	struct walker walkers[4];
	pthread_t threads[4];

	/* the current client of a new thread is the first one of the process */
	for (int i = 0; i < 4; i++) {
		walkers[i] = (struct walker){ &self->fake, 2 * i + 1, 0 };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, walk, &walkers[i]));
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, walkers[i].errors);
	}
}

TEST_HARNESS_MAIN
