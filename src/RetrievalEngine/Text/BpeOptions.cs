namespace RetrievalEngine.Text;

/// <summary>The switches of a <see cref="BpeModel"/>, named as in <c>tokenizer.json</c>.</summary>
/// <param name="ContinuingPrefix"><c>continuing_subword_prefix</c>: in front of characters inside a piece.</param>
/// <param name="EndSuffix"><c>end_of_word_suffix</c>: behind the last character of a piece.</param>
/// <param name="FuseUnknown"><c>fuse_unk</c>: neighbouring unknown characters are one unknown token.</param>
/// <param name="ByteFallback"><c>byte_fallback</c>: an unknown character becomes its UTF-8 bytes, <c>&lt;0xE2&gt;</c>.</param>
/// <param name="IgnoreMerges"><c>ignore_merges</c>: a piece that is a token as a whole needs no merges.</param>
internal sealed record BpeOptions(
    string ContinuingPrefix = "", string EndSuffix = "", bool FuseUnknown = false, bool ByteFallback = false, bool IgnoreMerges = false);
