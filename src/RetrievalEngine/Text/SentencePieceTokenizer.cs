using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;

namespace RetrievalEngine.Text;

/// <summary>
/// Makes a tokenizer of a SentencePiece model as transformers does for the class that reads it: Llama, Gemma, T5, XLM-R; without a class the model
/// speaks for itself.
/// </summary>
internal static class SentencePieceTokenizer
{
    private const string Space = "▁";
    private static readonly Dictionary<string, string> s_none = [];

    /// <summary>Builds the parts; <paramref name="where"/> begins messages.</summary>
    /// <exception cref="InputException">The model or the class cannot be used.</exception>
    public static TokenizerParts Build(SentencePieceFile file, TokenizerSettings settings, string where)
    {
        string kind = settings.Class ?? "";
        if (kind is not ("" or "LlamaTokenizer" or "GemmaTokenizer" or "T5Tokenizer" or "XLMRobertaTokenizer"))
            throw new InputException($"{where}: a SentencePiece model read by {kind} is not supported; LlamaTokenizer, GemmaTokenizer, T5Tokenizer and XLMRobertaTokenizer are");
        bool xlmRoberta = kind == "XLMRobertaTokenizer";
        int unknown = file.IndexOf(SentencePieceFile.PieceType.Unknown);
        if (unknown < 0) throw new InputException($"{where}: no piece stands for unknown text");
        List<(string Text, double Score)> pieces = Pieces(file, kind, settings);
        Dictionary<string, int> ids = new(pieces.Count, StringComparer.Ordinal);
        for (int id = 0; id < pieces.Count; id++)
        {
            if (!ids.TryAdd(pieces[id].Text, id)) throw new InputException($"{where}: the piece \"{pieces[id].Text}\" is there twice");
        }

        Vocabulary vocabulary = new(ids);
        int unknownId = xlmRoberta ? 3 : unknown;
        bool bytes = file.IndexOf(SentencePieceFile.PieceType.Byte) >= 0;
        TokenModel model = file.IsBpe
            ? new BpeModel(vocabulary, Merges(pieces, ids), new BpeOptions(FuseUnknown: true, ByteFallback: bytes), unknownId)
            : new UnigramModel(vocabulary, [.. pieces.Select(piece => piece.Score)], unknownId, bytes);
        AddedToken[] added = Added(file, kind, settings, vocabulary);
        (Normalizer? normalizer, PreTokenizer[] preTokenizers) = Splitting(file, settings, where);
        return new(normalizer, preTokenizers, false, model, added, Template(file, kind, settings, vocabulary, added), Decoding(file, bytes));
    }

    private static List<(string Text, double Score)> Pieces(SentencePieceFile file, string kind, TokenizerSettings settings)
    {
        List<(string Text, double Score)> pieces = [.. file.Pieces.Select(piece => (piece.Text, (double)piece.Score))];
        if (kind == "XLMRobertaTokenizer")
        {
            // fairseq's order: four special tokens of its own in place of the model's three.
            return [("<s>", 0), ("<pad>", 0), ("</s>", 0), ("<unk>", 0), .. pieces.Skip(3), ("<mask>", 0)];
        }

        if (kind == "T5Tokenizer")
        {
            for (int i = (settings.Int("extra_ids", 0, 10_000) ?? 100) - 1; i >= 0; i--)
            {
                if (!pieces.Exists(piece => piece.Text == $"<extra_id_{i}>")) pieces.Add(($"<extra_id_{i}>", 0));
            }
        }

        // Gemma joins tabs but has none by itself: its byte stands for it.
        int tab = pieces.FindIndex(piece => piece.Text == "<0x09>");
        if (file.IsBpe && tab >= 0 && pieces.Exists(piece => piece.Text.Contains('\t')) && !pieces.Exists(piece => piece.Text == "\t")) pieces[tab] = ("\t", pieces[tab].Score);
        return pieces;
    }

    /// <summary>
    /// The merges that the pieces imply: each way to put a piece together of two others, best score of the result first, then the longer left side.
    /// </summary>
    private static List<Merge> Merges(List<(string Text, double Score)> pieces, Dictionary<string, int> ids)
    {
        List<(Merge Merge, double Score, int Left, int Right)> merges = [];
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        for (int id = 0; id < pieces.Count; id++)
        {
            (string text, double score) = pieces[id];
            List<(Merge Merge, double Score, int Left, int Right)> ways = [];
            int points = CodePoints(text), left = 0;
            for (int i = 0; i < text.Length; i++)
            {
                if (i > 0 && !char.IsLowSurrogate(text[i]) && lookup.TryGetValue(text.AsSpan(0, i), out int first) && lookup.TryGetValue(text.AsSpan(i), out int second))
                    ways.Add((new Merge(first, second, id), score, left, points - left));
                if (!char.IsHighSurrogate(text[i])) left++;
            }

            merges.AddRange(ways.OrderBy(way => way.Merge.Left).ThenBy(way => way.Merge.Right));
        }

        return [.. merges.OrderByDescending(m => m.Score).ThenByDescending(m => m.Left).ThenByDescending(m => m.Right).Select(m => m.Merge)];
    }

    private static (Normalizer? Normalizer, PreTokenizer[] PreTokenizers) Splitting(SentencePieceFile file, TokenizerSettings settings, string where)
    {
        bool prefix = settings.Flag("add_prefix_space") ?? file.AddsPrefix, legacy = settings.Flag("legacy") ?? true;
        MetaspacePrepend prepend = !prefix ? MetaspacePrepend.Never : legacy ? MetaspacePrepend.Always : MetaspacePrepend.First;
        Normalizer? map = file.CharacterMap.Length == 0 ? null
            : PrecompiledNormalizer.TryCreate(file.CharacterMap) ?? throw new InputException($"{where}: the precompiled character map is damaged");
        SplitPreTokenizer spaces = new(new CodePointPattern(CodePointPattern.IsWhiteSpace), SplitBehavior.Removed, invert: false);
        MetaspacePreTokenizer words = new(new Rune(Space[0]), prepend, split: true);
        // The tokenizers that T5 and XLM-R are published with split at all white space; other models know only the space.
        if (file.RemovesExtraSpaces && settings.Class is "T5Tokenizer" or "XLMRobertaTokenizer") return (map, [spaces, words]);
        if (file.RemovesExtraSpaces)
        {
            Normalizer[] collapse = [new StripNormalizer(left: false, right: true), new ReplaceNormalizer(SpaceRunPattern.Instance, Space)];
            return (new SequenceNormalizer(map is null ? collapse : [map, .. collapse]), [words]);
        }

        if (map is not null || !legacy) return (map, [new MetaspacePreTokenizer(new Rune(Space[0]), prepend, split: !file.IsBpe)]);
        ReplaceNormalizer visible = new(new LiteralPattern(" "), Space);
        return (prefix ? new SequenceNormalizer([new PrependNormalizer(Space), visible]) : visible, []);
    }

    private static SequenceDecoder Decoding(SentencePieceFile file, bool bytes)
    {
        if (!file.IsBpe && !bytes) return new([new MetaspaceDecoder(new Rune(Space[0]), dropFirst: file.AddsPrefix)]);
        List<Decoder> decoders = [new ReplaceDecoder(new LiteralPattern(Space), " "), new ByteFallbackDecoder(), new FuseDecoder()];
        if (file.AddsPrefix) decoders.Add(new StripDecoder(new Rune(' '), start: 1, stop: 0));
        return new([.. decoders]);
    }

    private static AddedToken[] Added(SentencePieceFile file, string kind, TokenizerSettings settings, Vocabulary vocabulary)
    {
        Dictionary<string, string> defaults = kind switch
        {
            "LlamaTokenizer" => new() { ["unk_token"] = "<unk>", ["bos_token"] = "<s>", ["eos_token"] = "</s>" },
            "GemmaTokenizer" => new() { ["pad_token"] = "<pad>", ["eos_token"] = "<eos>", ["bos_token"] = "<bos>", ["unk_token"] = "<unk>" },
            "T5Tokenizer" => new() { ["pad_token"] = "<pad>", ["eos_token"] = "</s>", ["unk_token"] = "<unk>" },
            "XLMRobertaTokenizer" => new() { ["bos_token"] = "<s>", ["pad_token"] = "<pad>", ["eos_token"] = "</s>", ["unk_token"] = "<unk>", ["mask_token"] = "<mask>" },
            _ => s_none,
        };
        IEnumerable<(int? Id, AddedToken Token)> found = file.Pieces.Where(piece => piece.Type is SentencePieceFile.PieceType.Control or SentencePieceFile.PieceType.UserDefined)
            .Select(piece => ((int?)null, Plain(piece.Text, piece.Type == SentencePieceFile.PieceType.Control)));
        if (kind == "T5Tokenizer")
            found = found.Concat(vocabulary.Tokens.Keys.Where(token => token.StartsWith("<extra_id_", StringComparison.Ordinal)).Select(token => ((int?)null, Plain(token, true))));
        return AddedTokenList.Make(found.Concat(settings.Added(defaults).Select(added => kind == "XLMRobertaTokenizer" && added.Token.Content == "<mask>"
            ? (added.Id, added.Token with { LeftStrip = true }) : added)), vocabulary);
    }

    private static PostProcessor Template(SentencePieceFile file, string kind, TokenizerSettings settings, Vocabulary vocabulary, AddedToken[] added)
    {
        (string Token, int Id)? Named(string name, string otherwise)
        {
            string token = settings.Special(name) ?? otherwise;
            int id = Array.Find(added, a => a.Content == token)?.Id ?? vocabulary.IdOf(token);
            return id < 0 ? null : (token, id);
        }

        (string Token, int Id)? bos = kind switch
        {
            "XLMRobertaTokenizer" => Named("cls_token", "<s>"),
            "LlamaTokenizer" => (settings.Flag("add_bos_token") ?? true) ? Named("bos_token", "<s>") : null,
            "GemmaTokenizer" => (settings.Flag("add_bos_token") ?? true) ? Named("bos_token", "<bos>") : null,
            _ => (settings.Flag("add_bos_token") ?? false) ? Named("bos_token", "<s>") : null,
        };
        bool ends = kind is "T5Tokenizer" or "XLMRobertaTokenizer" || (settings.Flag("add_eos_token") ?? false);
        (string Token, int Id)? eos = ends ? Named(kind == "XLMRobertaTokenizer" ? "sep_token" : "eos_token", kind == "GemmaTokenizer" ? "<eos>" : "</s>") : null;
        List<TemplatePart> Around(int sequence, int type)
        {
            List<TemplatePart> parts = [];
            if (bos is { } first && !(kind == "XLMRobertaTokenizer" && sequence == 1)) parts.Add(TemplatePart.Of(first, type));
            if (kind == "XLMRobertaTokenizer" && sequence == 1) parts.Add(TemplatePart.Of(eos!.Value, type));
            parts.Add(TemplatePart.Of(sequence, type));
            if (eos is { } last) parts.Add(TemplatePart.Of(last, type));
            return parts;
        }

        int second = kind is "T5Tokenizer" or "XLMRobertaTokenizer" ? 0 : 1;
        return new([.. Around(0, 0)], [.. Around(0, 0), .. Around(1, second)], []);
    }

    private static AddedToken Plain(string content, bool special) => new(0, content, SingleWord: false, LeftStrip: false, RightStrip: false, Normalized: false, special);

    private static int CodePoints(string text) => text.Length - text.Count(char.IsLowSurrogate);
}
