using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace RetrievalEngine.Text;

/// <summary>A step that turns tokens back into text.</summary>
internal abstract class Decoder
{
    /// <summary>Rewrites the tokens; joined without a gap, the last step's are the text.</summary>
    public abstract List<string> Decode(List<string> tokens);

    /// <summary>Reads the decoder of a <c>tokenizer.json</c>.</summary>
    public static Decoder Read(JsonFields json)
    {
        switch (json.Text("type"))
        {
            case "Sequence":
                return new SequenceDecoder(Array.ConvertAll(json.Objects("decoders"), Read));
            case "ByteLevel":
                return new ByteLevelDecoder();
            case "ByteFallback":
                return new ByteFallbackDecoder();
            case "BPEDecoder":
                return new BpeDecoder(json.TextOrNull("suffix") ?? "</w>");
            case "Fuse":
                return new FuseDecoder();
            case "WordPiece":
                return new WordPieceDecoder(json.Text("prefix"), json.Flag("cleanup", true));
            case "Metaspace":
                (Rune replacement, MetaspacePrepend prepend) = TokenizerComponents.ReadMetaspace(json);
                return new MetaspaceDecoder(replacement, dropFirst: prepend != MetaspacePrepend.Never);
            case "Strip":
                Rune content = TokenizerComponents.ReadRune(json, "content");
                return new StripDecoder(content, json.Int("start", 0, int.MaxValue), json.Int("stop", 0, int.MaxValue));
            case "Replace":
                return new ReplaceDecoder(SplitPattern.Read(json.Object("pattern")), json.Text("content"));
            default:
                throw json.Error("type", $"names the decoder \"{json.Text("type")}\", which is not supported");
        }
    }
}

/// <summary>Several decoders, one after another.</summary>
internal sealed class SequenceDecoder(Decoder[] decoders) : Decoder
{
    public override List<string> Decode(List<string> tokens)
    {
        foreach (Decoder decoder in decoders) tokens = decoder.Decode(tokens);
        return tokens;
    }
}

/// <summary>Reads the byte alphabet's characters as bytes of UTF-8.</summary>
internal sealed class ByteLevelDecoder : Decoder
{
    public override List<string> Decode(List<string> tokens)
    {
        List<byte> bytes = [];
        foreach (string token in tokens) ByteAlphabet.AppendBytes(token, bytes);
        return [System.Text.Encoding.UTF8.GetString(bytes.ToArray())];
    }
}

/// <summary>Joins neighbouring <c>&lt;0xE2&gt;</c> tokens to text; bytes that are none become U+FFFD each.</summary>
internal sealed class ByteFallbackDecoder : Decoder
{
    private static readonly UTF8Encoding _strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public override List<string> Decode(List<string> tokens)
    {
        List<string> result = [];
        List<byte> bytes = [];
        foreach (string token in tokens)
        {
            if (token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
                && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
            {
                bytes.Add(value);
                continue;
            }

            Flush(bytes, result);
            result.Add(token);
        }

        Flush(bytes, result);
        return result;
    }

    private static void Flush(List<byte> bytes, List<string> result)
    {
        if (bytes.Count == 0) return;
        try
        {
            result.Add(_strict.GetString(bytes.ToArray()));
        }
        catch (DecoderFallbackException)
        {
            foreach (byte _ in bytes) result.Add("\uFFFD");
        }

        bytes.Clear();
    }
}

/// <summary>Turns the suffix of words' last tokens into spaces; the last token's goes.</summary>
internal sealed class BpeDecoder(string suffix) : Decoder
{
    public override List<string> Decode(List<string> tokens)
    {
        List<string> result = new(tokens.Count);
        foreach (string token in tokens)
        {
            string replacement = result.Count == tokens.Count - 1 ? "" : " ";
            result.Add(suffix.Length == 0 ? token : token.Replace(suffix, replacement, StringComparison.Ordinal));
        }

        return result;
    }
}

/// <summary>Makes one token of all.</summary>
internal sealed class FuseDecoder : Decoder
{
    public override List<string> Decode(List<string> tokens) => [string.Concat(tokens)];
}

/// <summary>Puts words apart by spaces and, with <paramref name="cleanup"/>, punctuation and contractions together again.</summary>
internal sealed class WordPieceDecoder(string prefix, bool cleanup) : Decoder
{
    private static readonly (string From, string To)[] _cleanup =
    [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"),
        (" 've", "'ve"), (" 're", "'re"),
    ];

    public override List<string> Decode(List<string> tokens)
    {
        List<string> result = new(tokens.Count);
        foreach (string token in tokens)
        {
            string text = result.Count == 0 ? token : token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
            if (cleanup)
            {
                foreach ((string from, string to) in _cleanup) text = text.Replace(from, to, StringComparison.Ordinal);
            }

            result.Add(text);
        }

        return result;
    }
}

/// <summary>Turns the visible space into a space; the first token's goes where one was put in front of the text.</summary>
internal sealed class MetaspaceDecoder(Rune replacement, bool dropFirst) : Decoder
{
    public override List<string> Decode(List<string> tokens)
    {
        List<string> result = new(tokens.Count);
        string visible = replacement.ToString();
        foreach (string token in tokens)
        {
            result.Add(token.Replace(visible, result.Count == 0 && dropFirst ? "" : " ", StringComparison.Ordinal));
        }

        return result;
    }
}

/// <summary>Cuts up to so many of a character off each token's ends.</summary>
internal sealed class StripDecoder(Rune content, int start, int stop) : Decoder
{
    public override List<string> Decode(List<string> tokens) => tokens.ConvertAll(token =>
    {
        string cut = content.ToString();
        int from = 0, to = token.Length;
        for (int i = 0; i < start && token.AsSpan(from, to - from).StartsWith(cut, StringComparison.Ordinal); i++) from += cut.Length;
        for (int i = 0; i < stop && token.AsSpan(from, to - from).EndsWith(cut, StringComparison.Ordinal); i++) to -= cut.Length;
        return token[from..to];
    });
}

/// <summary>Replaces each match of a pattern in each token.</summary>
internal sealed class ReplaceDecoder(SplitPattern pattern, string content) : Decoder
{
    public override List<string> Decode(List<string> tokens) => tokens.ConvertAll(token =>
    {
        List<SplitMatch> parts = [];
        pattern.Find(token, parts);
        StringBuilder text = new();
        foreach (SplitMatch part in parts) text.Append(part.IsMatch ? content : token.AsSpan(part.Start, part.End - part.Start));
        return text.ToString();
    });
}
