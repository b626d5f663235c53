using System;
using System.Collections.Generic;
using System.Text;

namespace RetrievalEngine.Text;

/// <summary>Reads the normaliser and the pre-tokenisers of a <c>tokenizer.json</c>; what is unknown is refused by name.</summary>
internal static class TokenizerComponents
{
    /// <summary>Reads a normaliser.</summary>
    public static Normalizer ReadNormalizer(JsonFields json) => json.Text("type") switch
    {
        "Sequence" => new SequenceNormalizer(Array.ConvertAll(json.Objects("normalizers"), ReadNormalizer)),
        "NFC" => new UnicodeFormNormalizer(UnicodeTables.Traits.Nfc),
        "NFD" => new UnicodeFormNormalizer(UnicodeTables.Traits.Nfd),
        "NFKC" => new UnicodeFormNormalizer(UnicodeTables.Traits.Nfkc),
        "NFKD" => new UnicodeFormNormalizer(UnicodeTables.Traits.Nfkd),
        "Nmt" => new NmtNormalizer(),
        "ByteLevel" => new ByteLevelNormalizer(),
        "Precompiled" => ReadPrecompiled(json),
        "Lowercase" => new LowercaseNormalizer(),
        "StripAccents" => new StripAccentsNormalizer(),
        "Strip" => new StripNormalizer(json.Flag("strip_left", true), json.Flag("strip_right", true)),
        "Prepend" => new PrependNormalizer(json.Text("prepend")),
        "Replace" => new ReplaceNormalizer(SplitPattern.Read(json.Object("pattern")), json.Text("content")),
        "BertNormalizer" => new BertNormalizer(
            json.Flag("clean_text", true),
            json.Flag("handle_chinese_chars", true),
            json.Flag("strip_accents", json.Flag("lowercase", true)),
            json.Flag("lowercase", true)),
        _ => throw json.Error("type", $"names the normalizer \"{json.Text("type")}\", which is not supported"),
    };

    private static PrecompiledNormalizer ReadPrecompiled(JsonFields json)
    {
        const string Field = "precompiled_charsmap";
        byte[] map = new byte[json.Text(Field).Length];
        PrecompiledNormalizer? normalizer =
            Convert.TryFromBase64String(json.Text(Field), map, out int length) ? PrecompiledNormalizer.TryCreate(map.AsSpan(0, length)) : null;
        return normalizer ?? throw json.Error(Field, "is not a character map of SentencePiece in base64");
    }

    /// <summary>Reads a pre-tokeniser as steps, and whether the pieces are written in the byte alphabet in the end.</summary>
    public static void ReadPreTokenizer(JsonFields json, List<PreTokenizer> steps, ref bool byteLevel)
    {
        if (byteLevel) throw json.Error("type", $"names the pre-tokenizer \"{json.Text("type")}\" behind \"ByteLevel\", which is not supported");
        switch (json.Text("type"))
        {
            case "Sequence":
                foreach (JsonFields part in json.Objects("pretokenizers")) ReadPreTokenizer(part, steps, ref byteLevel);
                break;
            case "ByteLevel":
                if (json.Flag("add_prefix_space", true)) steps.Add(new PrefixSpacePreTokenizer());
                if (json.Flag("use_regex", true)) steps.Add(new SplitPreTokenizer(GptPattern.Gpt2, SplitBehavior.Isolated, invert: false));
                byteLevel = true;
                break;
            case "Split":
                steps.Add(new SplitPreTokenizer(SplitPattern.Read(json.Object("pattern")), ReadBehavior(json), json.Flag("invert", false)));
                break;
            case "BertPreTokenizer":
                steps.Add(new SplitPreTokenizer(new CodePointPattern(CodePointPattern.IsWhiteSpace), SplitBehavior.Removed, invert: false));
                steps.Add(new SplitPreTokenizer(new CodePointPattern(CodePointPattern.IsPunctuation), SplitBehavior.Isolated, invert: false));
                break;
            case "Whitespace":
                steps.Add(new SplitPreTokenizer(new WordPattern(), SplitBehavior.Removed, invert: true));
                break;
            case "WhitespaceSplit":
                steps.Add(new SplitPreTokenizer(new CodePointPattern(CodePointPattern.IsWhiteSpace), SplitBehavior.Removed, invert: false));
                break;
            case "CharDelimiterSplit":
                int delimiter = ReadRune(json, "delimiter").Value;
                steps.Add(new SplitPreTokenizer(new CodePointPattern(c => c == delimiter), SplitBehavior.Removed, invert: false));
                break;
            case "Punctuation":
                steps.Add(new SplitPreTokenizer(
                    new CodePointPattern(CodePointPattern.IsPunctuation),
                    json.Has("behavior") ? ReadBehavior(json) : SplitBehavior.Isolated,
                    invert: false));
                break;
            case "Digits":
                steps.Add(new SplitPreTokenizer(
                    new CodePointPattern(CodePointPattern.IsNumeric),
                    json.Flag("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous,
                    invert: false));
                break;
            case "Metaspace":
                (Rune replacement, MetaspacePrepend prepend) = ReadMetaspace(json);
                steps.Add(new MetaspacePreTokenizer(replacement, prepend, json.Flag("split", true)));
                break;
            default:
                throw json.Error("type", $"names the pre-tokenizer \"{json.Text("type")}\", which is not supported");
        }
    }

    /// <summary>The fields that the Metaspace pre-tokeniser and decoder share.</summary>
    public static (Rune Replacement, MetaspacePrepend Prepend) ReadMetaspace(JsonFields json)
    {
        MetaspacePrepend prepend = (json.TextOrNull("prepend_scheme") ?? "always") switch
        {
            "always" => MetaspacePrepend.Always,
            "first" => MetaspacePrepend.First,
            "never" => MetaspacePrepend.Never,
            string scheme => throw json.Error("prepend_scheme", $"must be always, first or never, not \"{scheme}\""),
        };

        // Files from before prepend_scheme say add_prefix_space.
        return (ReadRune(json, "replacement"), json.Flag("add_prefix_space", true) ? prepend : MetaspacePrepend.Never);
    }

    /// <summary>A field that holds one character.</summary>
    public static Rune ReadRune(JsonFields json, string field)
    {
        string text = json.Text(field);
        if (Rune.DecodeFromUtf16(text, out Rune rune, out int units) != System.Buffers.OperationStatus.Done || units != text.Length)
        {
            throw json.Error(field, "must be one character");
        }

        return rune;
    }

    private static SplitBehavior ReadBehavior(JsonFields json) => json.Text("behavior") switch
    {
        "Removed" => SplitBehavior.Removed,
        "Isolated" => SplitBehavior.Isolated,
        "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
        "MergedWithNext" => SplitBehavior.MergedWithNext,
        "Contiguous" => SplitBehavior.Contiguous,
        string other => throw json.Error("behavior", $"is \"{other}\", which is not known"),
    };
}
