using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Security.Cryptography;

namespace RetrievalEngine.Text;

/// <summary>Reads the tokenizer files of a model folder. Every file is untrusted: sizes, ids and types are checked.</summary>
internal static class TokenizerFiles
{
    private const string Json = "tokenizer.json";
    private static readonly string[] s_models = ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model"];
    private static readonly string[][] s_layouts = [[Json], .. s_models.Select(name => new[] { name }), ["vocab.json", "merges.txt"], ["vocab.txt"]];

    /// <summary>The files that the tokenizer of <paramref name="folder"/> is read from; none where there is no tokenizer.</summary>
    public static string[] Find(string folder) => Array.Find(s_layouts, names => names.All(name => File.Exists(Path.Combine(folder, name)))) ?? [];

    /// <summary>
    /// Reads the tokenizer of <paramref name="folder"/>: <c>tokenizer.json</c>, else a SentencePiece or tiktoken model, else <c>vocab.json</c> with
    /// <c>merges.txt</c>, else <c>vocab.txt</c>, with
    /// the files beside that name its special tokens.
    /// </summary>
    public static Tokenizer Load(string folder)
    {
        string[] files = Find(folder);
        if (files.Length == 0) throw new InputException($"{folder}: there is no tokenizer: none of {string.Join(", ", s_layouts.Select(names => string.Join(" with ", names)))}");
        TokenizerSettings settings = TokenizerSettings.Read(folder);
        string path = Path.Combine(folder, files[0]);
        byte[] bytes = JsonFields.ReadBytes(path);
        TokenizerParts parts = files[0] switch
        {
            Json => Read(JsonFields.Parse(bytes, path)),
            "vocab.json" => ByteLevelTokenizer.Read(JsonFields.Parse(bytes, path), JsonFields.ReadBytes(Path.Combine(folder, files[1])), settings, folder),
            "vocab.txt" => WordPieceFile.Build(bytes, settings, path),
            _ => TiktokenFile.Recognises(bytes) ? TiktokenFile.Build(bytes, settings, path) : SentencePieceTokenizer.Build(SentencePieceFile.Parse(bytes, path), settings, path),
        };
        // What is beside tokenizer.json does not change ids; beside the other files it does.
        string hash = files[0] == Json ? Convert.ToHexStringLower(SHA256.HashData(bytes)) : Hash(folder, [.. files, .. settings.Files]);
        return parts.Build(settings.SpecialTokens, hash, settings.TruncationSide);
    }

    /// <summary>Builds a tokenizer from the bytes of a <c>tokenizer.json</c> that is called <paramref name="name"/> in messages.</summary>
    public static Tokenizer Parse(byte[] bytes, string name, Func<Tokenizer, SpecialTokens> special) =>
        Read(JsonFields.Parse(bytes, name)).Build(special, Convert.ToHexStringLower(SHA256.HashData(bytes)));

    private static TokenizerParts Read(JsonFields json)
    {
        Normalizer? normalizer = json.ObjectOrNull("normalizer") is { } n ? TokenizerComponents.ReadNormalizer(n) : null;
        List<PreTokenizer> preTokenizers = [];
        bool byteLevel = false;
        if (json.ObjectOrNull("pre_tokenizer") is { } p) TokenizerComponents.ReadPreTokenizer(p, preTokenizers, ref byteLevel);
        TokenModel model = ModelFile.Read(json.Object("model"));
        PostProcessor postProcessor = PostProcessor.Read(json.ObjectOrNull("post_processor"));
        Decoder? decoder = json.ObjectOrNull("decoder") is { } d ? Decoder.Read(d) : null;
        return new(normalizer, [.. preTokenizers], byteLevel, model, ReadAdded(json.ObjectsOrNull("added_tokens") ?? [], model.Vocabulary), postProcessor, decoder);
    }

    /// <summary>The hash of several files that together decide the ids.</summary>
    private static string Hash(string folder, string[] files)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string name in files)
        {
            byte[] bytes = JsonFields.ReadBytes(Path.Combine(folder, name));
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes($"{name} {bytes.Length}\n"));
            hash.AppendData(bytes);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Added tokens get ids by their order, as in the reference, and not those written in the file.</summary>
    private static AddedToken[] ReadAdded(JsonFields[] items, Vocabulary vocabulary) => AddedTokenList.Make(items.Select(item =>
    {
        bool special = item.Flag("special", false);
        AddedToken token = new(
            0, item.Text("content"), item.Flag("single_word", false), item.Flag("lstrip", false), item.Flag("rstrip", false), item.Flag("normalized", !special), special);
        return ((int?)null, token);
    }), vocabulary);
}
