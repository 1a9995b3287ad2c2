"""Amazon Rekognition's calls about faces, for programs that use its SDKs. docs/rekognition.md is the guide.

It adds no right: a request signed with an access key is a call with the API key that it stands for.
"""
