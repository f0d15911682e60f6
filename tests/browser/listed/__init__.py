"""A node that gives three texts as a list, which ComfyUI maps into the node they are linked to."""


class Texts:
    """`Texts` splits a text at its line ends."""

    CATEGORY = "tests"
    FUNCTION = "split"
    RETURN_TYPES = ("STRING",)
    OUTPUT_IS_LIST = (True,)

    @classmethod
    def INPUT_TYPES(cls):
        """One text."""
        return {"required": {"text": ("STRING", {"multiline": True})}}

    def split(self, text):
        """The lines."""
        return (text.splitlines(),)


NODE_CLASS_MAPPINGS = {"Test_Texts": Texts}
