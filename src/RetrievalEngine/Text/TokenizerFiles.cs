using System;
using System.Collections.Generic;
using System.IO;
using System.Security.Cryptography;

namespace RetrievalEngine.Text;

/// <summary>Reads the tokenizer files of a model folder. Every file is untrusted: sizes, ids and types are checked.</summary>
internal static class TokenizerFiles
{
    /// <summary>Reads <c>tokenizer.json</c> of <paramref name="folder"/> and, where they are there, the files that name its special tokens.</summary>
    public static Tokenizer Load(string folder)
    {
        string path = Path.Combine(folder, "tokenizer.json");
        if (!File.Exists(path)) throw new InputException($"{folder}: there is no tokenizer.json");
        return Parse(JsonFields.ReadBytes(path), path, tokenizer => SpecialTokensFile.Read(folder, tokenizer));
    }

    /// <summary>Builds a tokenizer from the bytes of a <c>tokenizer.json</c> that is called <paramref name="name"/> in messages.</summary>
    public static Tokenizer Parse(byte[] bytes, string name, Func<Tokenizer, SpecialTokens> special) =>
        Read(JsonFields.Parse(bytes, name), Convert.ToHexStringLower(SHA256.HashData(bytes)), special);

    private static Tokenizer Read(JsonFields json, string hash, Func<Tokenizer, SpecialTokens> special)
    {
        Normalizer? normalizer = json.ObjectOrNull("normalizer") is { } n ? TokenizerComponents.ReadNormalizer(n) : null;
        List<PreTokenizer> preTokenizers = [];
        bool byteLevel = false;
        if (json.ObjectOrNull("pre_tokenizer") is { } p) TokenizerComponents.ReadPreTokenizer(p, preTokenizers, ref byteLevel);
        TokenModel model = ModelFile.Read(json.Object("model"));
        AddedToken[] added = ReadAdded(json.ObjectsOrNull("added_tokens") ?? [], model.Vocabulary);
        PostProcessor postProcessor = PostProcessor.Read(json.ObjectOrNull("post_processor"));
        Decoder? decoder = json.ObjectOrNull("decoder") is { } d ? Decoder.Read(d) : null;
        return new(new TokenPipeline(normalizer, [.. preTokenizers], byteLevel, model, added), postProcessor, decoder, special, hash);
    }

    /// <summary>
    /// Added tokens get the vocabulary's id where it has them and the next free one where not, as in the reference, which goes by the order in the
    /// file and not by the ids written there.
    /// </summary>
    private static AddedToken[] ReadAdded(JsonFields[] items, Vocabulary vocabulary)
    {
        Dictionary<string, AddedToken> added = [];
        int next = vocabulary.Count;
        foreach (JsonFields item in items)
        {
            string content = item.Text("content");
            if (content.Length == 0) continue;
            int id = added.TryGetValue(content, out AddedToken? earlier) ? earlier.Id : vocabulary.IdOf(content);
            if (id < 0) id = next++;
            bool special = item.Flag("special", false);
            added[content] = new(
                id,
                content,
                item.Flag("single_word", false),
                item.Flag("lstrip", false),
                item.Flag("rstrip", false),
                item.Flag("normalized", !special),
                special);
        }

        return [.. added.Values];
    }
}
