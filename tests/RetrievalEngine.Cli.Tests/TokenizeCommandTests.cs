using System;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using NUnit.Framework;

namespace RetrievalEngine.Cli.Tests;

internal sealed class TokenizeCommandTests
{
    private const string TokenizerJson = """
        {"added_tokens": [{"id": 3, "content": "<s>", "special": true}],
         "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
         "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
           "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [3], "tokens": ["<s>"]}}},
         "model": {"type": "WordPiece", "unk_token": "?", "continuing_subword_prefix": "##", "vocab": {"?": 0, "hello": 1, "##s": 2, "<s>": 3}}}
        """;

    [TestCase("""{"text":"Hellos é","ids":[3,1,2,0],"tokens":["<s>","hello","##s","?"],"offsets":[[0,0],[0,5],[5,6],[7,8]]}""")]
    [TestCase("""{"text":"Hellos é","ids":[1,2,0],"tokens":["hello","##s","?"],"offsets":[[0,5],[5,6],[7,8]]}""", "--no-special-tokens")]
    [TestCase("""{"text":"Hellos é","ids":[3,1],"tokens":["<s>","hello"],"offsets":[[0,0],[0,5]]}""", "--max-length", "2")]
    public async Task Line_IsOneObject(string expected, params string[] options)
    {
        CommandRun run = await Tokenize("Hellos é\n\n", options);
        Assert.That(run.ExitCode, Is.Zero, run.Error);
        string[] lines = run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines[0], Is.EqualTo(expected));
        Assert.That(lines, Has.Length.EqualTo(2), "an empty line is a text, too");
    }

    [Test]
    public async Task MaxLength_WithoutRoomForSpecialTokens_IsRefused()
    {
        CommandRun run = await Tokenize("a\n", "--max-length", "0");
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error, Is.EqualTo("retrieval: --max-length 0 is too short: the special tokens alone are 1\n"));
    }

    [Test]
    public async Task NoTokenizer_IsRefused()
    {
        CommandRun run = await CommandRun.Of("tokenize", "--model", "/no/such/folder");
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error, Does.Contain("/no/such/folder: there is no tokenizer: none of tokenizer.json, ").And.Not.Contain(" at "));
    }

    private static async Task<CommandRun> Tokenize(string input, params string[] options)
    {
        using TemporaryFiles files = new();
        files.Write("tokenizer.json", TokenizerJson);
        TextReader original = Console.In;
        using StringReader reader = new(input);
        Console.SetIn(reader);
        try
        {
            return await CommandRun.Of([.. new[] { "tokenize", "--model", files.Folder }.Concat(options)]);
        }
        finally
        {
            Console.SetIn(original);
        }
    }
}
