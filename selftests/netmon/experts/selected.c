// SPDX-License-Identifier: GPL-2.0
/* Prints what the user has selected: frame, protocol, property and bit of the start-up information. */
#include "expert.h"

RUN
{
	PROPERTYINST *instance = startup->lpPropertyInst;

	printf("selected: flags %u, frame %d, capture %s, frames %u\n", flags,
	       (int)startup->dwFrameNumber, startup->hCapture ? "yes" : "no",
	       GetCaptureTotalFrames(startup->hCapture));
	printf("selected: protocol %s\n", startup->hProtocol ? "yes" : "no");
	if (instance && instance->lpPropertyInfo)
		printf("selected: property %s, %u bytes, bit %u is %d\n",
		       instance->lpPropertyInfo->Label, instance->DataLength,
		       startup->sBitfield.BitNumber, startup->sBitfield.bOn);
	return TRUE;
}
